"""Helpers of the stacked flows: the order of each layer, and what goes between layers."""

from collections.abc import Sequence
from typing import Literal

import torch

from flowbench.nn.masks import InputOrder, input_degrees
from flowbench.transforms import BatchNorm, Chain, LULinear, Transform
from flowbench.transforms.normalization import Statistics
from flowbench.transforms.selected import Selected

__all__ = ["NORM_NEEDS", "Side", "distinct_angles", "layer_order", "stack"]

Side = Literal["noise", "data"]
NORM_NEEDS = {
    "batch_norm_side": {"batch_norm": True},
    "batch_norm_statistics": {"batch_norm": True},
}


def layer_order(
    features: int, input_order: InputOrder, layer: int, *, reverse: bool
) -> InputOrder:
    """The input order of a layer, counted from 0; with `reverse`, every other one is reversed.

    Example:
        >>> layer_order(3, "left-to-right", 1, reverse=True)
        [3, 2, 1]
    """
    if input_order == "random":
        return input_order
    degrees = input_degrees(features, input_order)
    return (features + 1 - degrees if reverse and layer % 2 else degrees).tolist()


def distinct_angles(circular: Sequence[int], features: int) -> list[int]:
    """The features that are angles, in order.

    Raises:
        ValueError: one is not a feature, or is named twice.

    Example:
        >>> distinct_angles([2, 0], 3)
        [0, 2]
    """
    angles = sorted(map(int, circular))
    if len(set(angles)) < len(angles) or not all(0 <= angle < features for angle in angles):
        raise ValueError(
            f"circular={list(circular)}: expected different features from 0 to {features - 1}"
        )
    return angles


def stack(
    layers: Sequence[Transform],
    features: int,
    *,
    batch_norm: bool,
    batch_norm_side: Side,
    batch_norm_statistics: Statistics,
    lu_linear: bool,
    seed: int | None,
    circular: Sequence[int] = (),
) -> Chain:
    """Chain layers, with batch norms and LU linear maps between them.

    Args:
        layers: from the data side to the noise side.
        features: size of the event.
        batch_norm: as in `MAF`.
        batch_norm_side: as in `MAF`.
        batch_norm_statistics: as in `MAF`.
        lu_linear: as in `MAF`.
        seed: of the permutations.
        circular: features that batch norms leave unchanged.

    Raises:
        ValueError: linear maps would mix angles with other features.
    """
    if circular and lu_linear:
        raise ValueError("lu_linear=True would mix angles, which are periodic: expected False")
    line = [feature for feature in range(features) if feature not in circular]
    # Smaller seeds are used by the networks.
    generator = None if seed is None else torch.Generator().manual_seed(seed + len(layers) + 1)
    from_data: list[Transform] = []
    for layer in layers:
        if lu_linear:
            from_data.append(_lu_linear(features, generator))
        members: list[Transform] = [layer]
        if batch_norm and line:
            norm: Transform = BatchNorm(len(line), statistics=batch_norm_statistics)
            norm = Selected(norm, features=line) if circular else norm
            members = [layer, norm] if batch_norm_side == "noise" else [norm, layer]
        from_data += members
    if lu_linear:
        from_data.append(_lu_linear(features, generator))
    return Chain(reversed(from_data))


def _lu_linear(features: int, generator: torch.Generator | None) -> LULinear:
    return LULinear(
        features, permutation=torch.randperm(features, generator=generator, device="cpu")
    )
