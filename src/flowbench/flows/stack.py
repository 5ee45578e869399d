"""What the stacked flows share: maps by name, layers, and what lies between layers."""

from collections.abc import Callable, Sequence
from typing import Any, Literal, get_args

import torch
from torch import nn

from flowbench.nn import AutoregressiveNetwork
from flowbench.nn.masks import InputOrder, input_degrees
from flowbench.transforms import (
    AffineMap,
    BatchNorm,
    Chain,
    Coupling,
    GatedMap,
    LULinear,
    MaskedAutoregressive,
    RationalQuadraticMap,
    ShiftMap,
    Transform,
    UnivariateMap,
    alternating_mask,
    leading_mask,
)
from flowbench.transforms.normalization import Statistics

__all__ = [
    "Side",
    "Univariate",
    "coupling_layers",
    "layer_order",
    "masked_layers",
    "stack",
    "univariate_map",
]

Univariate = Literal["affine", "shift", "gated", "spline"] | UnivariateMap
Side = Literal["noise", "data"]


def univariate_map(
    univariate: Univariate, *, log_scale_bound: float | None, bins: int, tail_bound: float
) -> UnivariateMap:
    """The univariate map of a name, or the one that is given.

    Args:
        univariate: "affine", "shift", "gated", "spline" or a `UnivariateMap`.
        log_scale_bound: of "affine".
        bins: of "spline".
        tail_bound: of "spline".

    Raises:
        ValueError: the name is unknown, or an option is out of range.

    Example:
        >>> univariate_map("spline", log_scale_bound=None, bins=8, tail_bound=3.0).params
        23
    """
    match univariate:
        case UnivariateMap():
            return univariate
        case "affine":
            return AffineMap(log_scale_bound)
        case "shift":
            return ShiftMap()
        case "gated":
            return GatedMap()
        case "spline":
            return RationalQuadraticMap(bins, bound=tail_bound)
    raise ValueError(
        f"univariate={univariate!r} is unknown: expected 'affine', 'shift', 'gated', 'spline' "
        "or a UnivariateMap"
    )


def layer_order(
    features: int, input_order: InputOrder, layer: int, *, reverse: bool
) -> InputOrder:
    """The order of a layer of a stack, counted from 0: reversed at each one if asked for.

    Example:
        >>> layer_order(3, "left-to-right", 1, reverse=True)
        [3, 2, 1]
    """
    if input_order == "random":
        return input_order
    degrees = input_degrees(features, input_order)
    return (features + 1 - degrees if reverse and layer % 2 else degrees).tolist()


def masked_layers(
    features: int,
    *,
    layers: int,
    univariate: UnivariateMap,
    input_order: InputOrder,
    reverse: bool,
    seed: int | None,
    **options: Any,
) -> list[MaskedAutoregressive]:
    """Masked autoregressive layers with networks of their own.

    Args:
        features: size of the event.
        layers: how many.
        univariate: map of every layer.
        input_order: of the first; "random" draws one for every layer.
        reverse: reverse the order at each layer.
        seed: of the first layer's random order and degrees, one more for each further layer.
        options: of the `AutoregressiveNetwork`s.

    Raises:
        ValueError: there is no layer, or an option is out of range.
    """
    if layers < 1:
        raise ValueError(f"layers={layers}: expected at least 1")
    return [
        MaskedAutoregressive(
            AutoregressiveNetwork(
                features,
                univariate.params,
                input_order=layer_order(features, input_order, layer, reverse=reverse),
                seed=None if seed is None else seed + layer,
                **options,
            ),
            univariate,
        )
        for layer in range(layers)
    ]


def coupling_layers(
    features: int,
    *,
    layers: int,
    univariate: UnivariateMap,
    conditioner: Callable[[int, int], nn.Module],
    num_masked: int | None,
    fraction_masked: float | None,
) -> list[Coupling]:
    """Coupling layers whose masks alternate with their complements.

    Args:
        features: size of the event.
        layers: how many.
        univariate: map of every layer.
        conditioner: from the numbers of masked and of mapped features to a network between them.
        num_masked: features that the first layer leaves unchanged, the last ones where negative.
        fraction_masked: the same as a share. Without either, those of odd index (from 0) are.

    Raises:
        ValueError: there is no layer, or an option is out of range.
    """
    if layers < 1:
        raise ValueError(f"layers={layers}: expected at least 1")
    if num_masked is None and fraction_masked is None:
        first = alternating_mask(features, start=1)
    else:
        first = leading_mask(features, num_masked=num_masked, fraction_masked=fraction_masked)
    masks = [~first if layer % 2 else first for layer in range(layers)]
    return [
        Coupling(features, conditioner(int(mask.sum()), int((~mask).sum())), univariate, mask=mask)
        for mask in masks
    ]


def stack(
    layers: Sequence[Transform],
    features: int,
    *,
    batch_norm: bool,
    batch_norm_side: Side,
    batch_norm_statistics: Statistics,
    lu_linear: bool,
    seed: int | None,
) -> Chain:
    """Layers, the first one at the data, with what lies between them.

    Args:
        layers: from the data side to the noise side.
        features: size of the event.
        batch_norm: put a batch norm beside every layer.
        batch_norm_side: of the layer, "noise" or "data".
        batch_norm_statistics: "dataset" or "running".
        lu_linear: put an `LULinear` with a random permutation before and behind every layer.
        seed: of the permutations.

    Raises:
        ValueError: the side is unknown.
    """
    if batch_norm_side not in get_args(Side):
        raise ValueError(
            f"batch_norm_side={batch_norm_side!r} is unknown: expected 'noise' or 'data'"
        )
    # The seeds before this one are those of the networks.
    generator = None if seed is None else torch.Generator().manual_seed(seed + len(layers) + 1)
    from_data: list[Transform] = []
    for layer in layers:
        if lu_linear:
            from_data.append(_lu_linear(features, generator))
        members: list[Transform] = [layer]
        if batch_norm:
            norm = BatchNorm(features, statistics=batch_norm_statistics)
            members = [layer, norm] if batch_norm_side == "noise" else [norm, layer]
        from_data += members
    if lu_linear:
        from_data.append(_lu_linear(features, generator))
    return Chain(reversed(from_data))


def _lu_linear(features: int, generator: torch.Generator | None) -> LULinear:
    return LULinear(
        features, permutation=torch.randperm(features, generator=generator, device="cpu")
    )
