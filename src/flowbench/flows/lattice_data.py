"""What a model of levels is told of the lattice of its data."""

from collections.abc import Mapping, Sequence
from typing import Any

from flowbench.transforms.lattice import LatticeCoordinates

__all__ = ["cells", "levels_of", "picture_shape"]


def levels_of(features: int, lattice: Mapping[str, Any] | None) -> list[int]:
    """The number of levels of each feature.

    Raises:
        ValueError: there is no lattice, or it is one of other features.

    Example:
        >>> levels_of(2, {"levels": 256})
        [256, 256]
    """
    if lattice is None:
        raise ValueError(
            "the values of the data are on no lattice: expected pictures, or a table whose "
            "columns all are dequantized; in Python, e.g. lattice={'levels': 256}"
        )
    levels = lattice["levels"]
    levels = list(levels) if isinstance(levels, Sequence) else [levels] * features
    if len(levels) != features or min(levels) < 1:
        raise ValueError(f"lattice: levels={levels}, expected {features} numbers from 1")
    return levels


def picture_shape(features: int, lattice: Mapping[str, Any] | None) -> tuple[int, int, int]:
    """Height, width and channels of the pictures that the data are.

    Raises:
        ValueError: they are none.

    Example:
        >>> picture_shape(12, {"levels": 256, "shape": [2, 2, 3]})
        (2, 2, 3)
    """
    height, width, channels = (lattice or {}).get("shape") or (0, 0, 0)
    if height * width * channels != features:
        raise ValueError(
            f"the {features} features are no picture: expected data of pictures; in Python, e.g. "
            "lattice={'levels': 256, 'shape': [28, 28, 1]}"
        )
    return height, width, channels


def cells(features: int, lattice: Mapping[str, Any]) -> LatticeCoordinates:
    """The map from cells to model space."""
    known = {key: lattice[key] for key in ("origin", "step", "preprocess") if key in lattice}
    return LatticeCoordinates(features, **known)
