"""What a model of levels is told of the lattice of its data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flowbench.transforms.lattice import LatticeCoordinates

__all__ = ["Lattice"]


@dataclass(frozen=True, kw_only=True)
class Lattice:
    """The lattice of a data set: where its points are, and what they are in model space.

    Attributes:
        levels: number of points of each feature, or one number for all.
        origin: the lowest points in data units, one number or one per feature.
        step: the distances of the points.
        preprocess: the steps from data units to model space; see `build_preprocess`.
        shape: height, width and channels, where an event is a picture.
        unbounded: whether other data may lie below and above the levels, on the same lattice.
        discrete: whether rows are the points themselves, without noise.
    """

    levels: int | Sequence[int]
    origin: float | Sequence[float] = 0.0
    step: float | Sequence[float] = 1.0
    preprocess: Sequence[Mapping[str, Any]] = ()
    shape: Sequence[int] = ()
    unbounded: bool = False
    discrete: bool = False

    @classmethod
    def of(cls, features: int, given: Mapping[str, Any] | None) -> "Lattice":
        """The lattice that plain values describe, with a number of levels per feature.

        Raises:
            ValueError: there is no lattice, or it is one of other features.

        Example:
            >>> Lattice.of(2, {"levels": 256}).levels
            [256, 256]
        """
        if given is None:
            raise ValueError(
                "a model of levels needs data on a lattice: whole pictures (data.layout="
                "interleaved or planar), or a table of such columns with data.dequantize=true "
                "(model=made_mixed takes other columns too); in Python, e.g. lattice={'levels': "
                "256}"
            )
        levels = given["levels"]
        levels = list(levels) if isinstance(levels, Sequence) else [levels] * features
        if len(levels) != features or min(levels) < 1:
            raise ValueError(f"lattice: levels={levels}, expected {features} numbers from 1")
        return cls(**{**given, "levels": levels})

    @property
    def picture(self) -> tuple[int, int, int]:
        """Height, width and channels.

        Raises:
            ValueError: events are not pictures.
        """
        if len(self.shape) != 3:
            raise ValueError(
                "a model of pictures needs data of pictures, with height, width and channels; in "
                "Python, e.g. lattice={'levels': 256, 'shape': [28, 28, 1]}"
            )
        height, width, channels = self.shape
        return height, width, channels

    @property
    def counts(self) -> list[int]:
        """The number of outcomes of each feature: its levels, and below and above them."""
        assert isinstance(self.levels, Sequence)
        return [levels + 2 * self.unbounded for levels in self.levels]

    def coordinates(self) -> LatticeCoordinates:
        """The map from cells to model space."""
        return LatticeCoordinates(
            len(self.counts), origin=self.origin, step=self.step, preprocess=self.preprocess
        )
