"""Networks as functions of many rows at once, without gradients: rows are columns, units are rows.

What does not depend on the rows is computed once: masked weights, and where the masks leave
something. A hidden layer of a masked network sorted by degree sees only the first units of the
one below, so that about half of its products are left out, block by block.
"""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn

from flowbench.nn.activations import activated, acts_on_single_units
from flowbench.nn.autoregressive import AutoregressiveNetwork
from flowbench.nn.contexts import declared
from flowbench.nn.linear import MaskedLinear
from flowbench.nn.mlp import MLP, ShiftAndLogScale, SplitMLP
from flowbench.nn.sorted_layers import SortedLayer, by_degree, sorted_layers

__all__ = ["ColumnFunction", "column_function"]

BLOCK_UNITS = 48  # of a layer, at least, in one product

# Maps `[features, rows]` and a context `[context_features, rows]` to `[outputs, params, rows]`.
ColumnFunction = Callable[[Tensor, Tensor | None], Tensor]


def column_function(network: nn.Module) -> ColumnFunction | None:
    """A network as a function of columns, or None where only its own `forward` knows it.

    The function has the values of the weights at present, and overwrites its last result.

    Args:
        network: known are the conditioners of this package as they are: without hooks, other
            classes of layers, or activations that might mix units.

    Example:
        >>> network = MLP(2, outputs=3, hidden_units=[4])
        >>> function = column_function(network)
        >>> with torch.no_grad():
        ...     function(torch.zeros(2, 10), None).shape
        torch.Size([3, 2, 10])
    """
    if not all(map(_is_known, network.modules())):
        return None
    if isinstance(network, AutoregressiveNetwork):
        return _of_masked(network)
    if isinstance(network, MLP):
        return _of_mlp(network)
    assert isinstance(network, ShiftAndLogScale)
    return _of_two(network)


def _is_known(module: nn.Module) -> bool:
    if module._forward_hooks or module._forward_pre_hooks or "forward" in vars(module):
        return False
    if type(module) is AutoregressiveNetwork:
        return acts_on_single_units(module.activation) and not module.validate_args
    if type(module) in (MLP, SplitMLP):
        return acts_on_single_units(module.activation)  # type: ignore[arg-type]
    if type(module) is nn.Dropout:
        return not (module.training and module.p)
    return type(module) in (ShiftAndLogScale, MaskedLinear, nn.Linear, nn.ModuleList)


class _Block(NamedTuple):
    """Some rows of a layer, and how many of the first units below they see; None: all."""

    rows: slice
    weight: Tensor
    bias: Tensor
    seen: int | None = None


class _Layer:
    """A layer that writes into one tensor as long as the number of rows stays the same."""

    def __init__(self, blocks: Sequence[_Block], context: Tensor | None) -> None:
        self.blocks = blocks
        self.context = context
        self.found: Tensor | None = None

    def __call__(self, units: Tensor, context: Tensor | None) -> Tensor:
        columns = units.shape[1]
        if self.found is None or self.found.shape[1] != columns:
            self.found = units.new_empty(self.blocks[-1].rows.stop, columns)
        for rows, weight, bias, seen in self.blocks:
            torch.addmm(bias, weight, units[:seen], out=self.found[rows])
        if self.context is not None and context is not None:
            self.found.addmm_(self.context, context)
        return self.found


def _of_masked(network: AutoregressiveNetwork) -> ColumnFunction:
    layers = [_sorted_layer(layer) for layer in sorted_layers(network)]
    order = None if network.known_sorted[0] else by_degree(network.degrees[0])

    def function(x: Tensor, context: Tensor | None) -> Tensor:
        declared(context, network.context_features)
        hidden = x if order is None else x.index_select(0, order)
        hidden = skip = layers[0](hidden, context)
        for index, layer in enumerate(layers[1:], start=1):
            hidden = layer(_activated(network, hidden), context)
            if network.residual and index % 2 == 0 and index < len(layers) - 1:
                hidden = skip = skip + hidden
        params = hidden.unflatten(0, (network.features, network.params))
        return params if order is None else params.index_select(0, network.degrees[0] - 1)

    return function


def _sorted_layer(layer: SortedLayer) -> _Layer:
    outputs = len(layer.layer.weight)
    count = max(1, outputs // BLOCK_UNITS)
    cuts = [outputs * index // count for index in range(count + 1)]
    bias, blocks = layer.bias(None), []
    for start, stop in pairwise(cuts):
        rows = slice(start, stop)
        seen = layer.seen[bisect_right(layer.ends, stop - 1) - 1]
        blocks.append(_Block(rows, layer.weight(rows, seen), bias[rows], seen))
    context = None if layer.context is None else layer.context.kernel
    if context is not None and layer.above is not None:
        context = context.index_select(0, layer.above)
    return _Layer(blocks, context)


def _of_mlp(network: MLP) -> ColumnFunction:
    layers = [_dense_layer(layer) for layer in network.layers]  # type: ignore[arg-type]
    if network.context_layer is not None:
        layers[0].context = network.context_layer.weight  # type: ignore[assignment]

    def function(x: Tensor, context: Tensor | None) -> Tensor:
        declared(context, network.context_features)
        hidden = layers[0](x, context)
        for layer in layers[1:]:
            hidden = layer(_activated(network, hidden), context)
        if isinstance(network, SplitMLP):
            return hidden.unflatten(0, (network.params, network.outputs)).transpose(0, 1)
        return hidden.unflatten(0, (network.outputs, network.params))

    return function


def _dense_layer(layer: nn.Linear) -> _Layer:
    outputs = layer.out_features
    bias = layer.weight.new_zeros(outputs) if layer.bias is None else layer.bias
    return _Layer([_Block(slice(0, outputs), layer.weight, bias.unsqueeze(-1))], None)


def _activated(network: AutoregressiveNetwork | MLP, hidden: Tensor) -> Tensor:
    read_again = getattr(network, "residual", False)
    return activated(network.activation, hidden, read_again=read_again)


def _of_two(network: ShiftAndLogScale) -> ColumnFunction:
    parts = [part and column_function(part) for part in (network.shift, network.log_scale)]

    def function(x: Tensor, context: Tensor | None) -> Tensor:
        found = [part and part(x, context) for part in parts]
        present = next(one for one in found if one is not None)
        return torch.cat(
            [torch.zeros_like(present) if one is None else one for one in found], dim=1
        )

    return function
