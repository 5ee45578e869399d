"""What the stacked flows share: maps by name, masked layers, and what lies between layers."""

from collections.abc import Sequence
from typing import Any, Literal

import torch

from flowbench.nn import AutoregressiveNetwork
from flowbench.nn.masks import InputOrder, input_degrees
from flowbench.transforms import (
    AffineMap,
    BatchNorm,
    Chain,
    GatedMap,
    MaskedAutoregressive,
    Permute,
    RationalQuadraticMap,
    ShiftMap,
    Transform,
    UnivariateMap,
)
from flowbench.transforms.normalization import Statistics

__all__ = ["Univariate", "layer_order", "masked_layers", "stack", "univariate_map"]

Univariate = Literal["affine", "shift", "gated", "spline"]


def univariate_map(
    univariate: Univariate, *, log_scale_bound: float | None, bins: int, tail_bound: float
) -> UnivariateMap:
    """The univariate map of a name.

    Args:
        univariate: "affine", "shift", "gated" or "spline".
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
        case "affine":
            return AffineMap(log_scale_bound)
        case "shift":
            return ShiftMap()
        case "gated":
            return GatedMap()
        case "spline":
            return RationalQuadraticMap(bins, bound=tail_bound)
    raise ValueError(
        f"univariate={univariate!r} is unknown: expected 'affine', 'shift', 'gated' or 'spline'"
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


def stack(
    layers: Sequence[Transform],
    features: int,
    *,
    batch_norm: bool,
    batch_norm_statistics: Statistics,
    lu_linear: bool,
    seed: int | None,
) -> Chain:
    """Layers, the first one at the data, with what lies between them.

    Args:
        layers: from the data side to the noise side.
        features: size of the event.
        batch_norm: put a batch norm on the noise side of every layer.
        batch_norm_statistics: "dataset" or "running".
        lu_linear: put a random permutation and an `LULinear` before and behind every layer.
        seed: of the permutations.
    """
    generator = None if seed is None else torch.Generator().manual_seed(seed)
    from_data: list[Transform] = []
    for layer in layers:
        if lu_linear:
            from_data += _mixing(features, generator)
        from_data.append(layer)
        if batch_norm:
            from_data.append(BatchNorm(features, statistics=batch_norm_statistics))
    if lu_linear:
        from_data += _mixing(features, generator)
    return Chain(reversed(from_data))


def _mixing(features: int, generator: torch.Generator | None) -> list[Transform]:
    from flowbench.transforms import LULinear

    return [Permute(torch.randperm(features, generator=generator)), LULinear(features)]
