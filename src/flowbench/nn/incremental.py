r"""Feature-by-feature generation with an autoregressive network, at the cost of one pass.

The usual way evaluates the whole masked network once per feature. But a hidden unit of degree d
depends only on the features of degree ≤ d, so it can be computed once, as soon as the feature of
its degree is known. The products then add up to one pass. Features between which no hidden unit is
computed do not wait for each other: they are one stage. The products are batched: what a block of
consecutive stages receives from all earlier ones is one product per layer; only connections within
the block are computed stage by stage.

Units are rows and samples are columns, so that known units are a contiguous slice.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from flowbench.nn.sorted_layers import SortedLayer, sorted_layers
from flowbench.tracing import may_overwrite

if TYPE_CHECKING:
    from flowbench.nn.autoregressive import AutoregressiveNetwork

__all__ = ["generate"]

BLOCK_UNITS = 64


def generate(
    network: "AutoregressiveNetwork",
    next_values: Callable[[Tensor, slice], Tensor],
    *,
    rows: int,
    context: Tensor | None = None,
) -> Tensor:
    """Generate features in the network's order, each from its parameters given the earlier ones.

    Differentiable with respect to all inputs when autograd is enabled.

    Args:
        network: the network; dropout is not applied.
        next_values: maps the parameters `[rows, n, params]` of the n features at the given places
            of the network's order (`network.order[places]`) to their values `[rows, n]`.
        rows: number of samples.
        context: `[rows or 1, context_features]`, or None.

    Returns:
        The samples `[rows, features]`.

    Example:
        >>> from flowbench.nn import AutoregressiveNetwork
        >>> network = AutoregressiveNetwork(3, params=1, hidden_units=[8], activation="tanh")
        >>> x = generate(network, lambda params, places: params[..., 0] + 1.0, rows=2)
        >>> torch.allclose(x, network(x)[..., 0] + 1.0)
        True
    """
    layers = [_Layer(layer, context, rows) for layer in sorted_layers(network)]
    storage = _Buffer if may_overwrite() else _Pieces
    like = layers[0].weight
    known = [storage(layer.weight.shape[1], rows, like) for layer in layers]
    for block in _blocks(network):
        degrees = range(block[0].start, block[-1].stop)
        received = [
            layer.receive(units, degrees) for layer, units in zip(layers, known, strict=True)
        ]
        for stage in block:
            places = slice(max(stage.start - 1, 0), stage.stop - 1)
            if count := places.stop - places.start:
                params = layers[-1].rows(received[-1], known[-1], stage, degrees)
                columns = params.view(count, network.params, rows).permute(2, 0, 1)
                known[0].append(next_values(columns, places).mT)
            _advance(network, layers, known, received, stage, degrees)
        for units in known:
            units.close()
    return known[0].all().index_select(0, network.degrees[0] - 1).mT


def _blocks(network: "AutoregressiveNetwork") -> list[list[range]]:
    """The degrees from 0 in stages, and these in blocks of about `BLOCK_UNITS` units.

    A stage ends with the first degree that has a hidden unit: later features may depend on it.
    """
    hidden = network.ends[1:]
    last = network.features
    starts = [
        degree + 1
        for degree in range(last)
        if not hidden or any(ends[degree] < ends[degree + 1] for ends in hidden)
    ]
    stages = [range(*pair) for pair in pairwise([0, *starts, last + 1])]
    widest = max(last, *network.hidden_units, 1)
    size = max(1, BLOCK_UNITS * len(stages) // widest)
    return [stages[first : first + size] for first in range(0, len(stages), size)]


def _advance(
    network: "AutoregressiveNetwork",
    layers: list["_Layer"],
    known: list["_Buffer | _Pieces"],
    received: list[Tensor],
    stage: range,
    degrees: range,
) -> None:
    """Compute the hidden units of a stage, layer after layer."""
    skip: Any = None
    for index, layer in enumerate(layers[:-1]):
        if layer.ends[stage.stop] == layer.ends[stage.start]:
            continue
        units = layer.rows(received[index], known[index], stage, degrees)
        if network.residual and index % 2 == 0:
            units = skip = units if index == 0 else skip + units
        known[index + 1].append(network.activation(units))


class _Layer:
    """A sorted layer, with the biases and contexts of all rows summed."""

    def __init__(self, layer: SortedLayer, context: Tensor | None, rows: int) -> None:
        self.weight, self.ends = layer.weight, layer.ends
        column = layer.bias
        if context is not None and layer.context is not None:
            column = column + layer.context @ context.mT
        self.bias = column.expand(-1, rows)

    def receive(self, known: "_Buffer | _Pieces", degrees: range) -> Tensor:
        """The contribution to the rows of a block from biases and all units before the block."""
        first, last = self.ends[degrees.start], self.ends[degrees.stop]
        before = known.before()
        if not len(before):
            return self.bias[first:last]
        return torch.addmm(self.bias[first:last], self.weight[first:last, : len(before)], before)

    def rows(
        self, received: Tensor, known: "_Buffer | _Pieces", stage: range, degrees: range
    ) -> Tensor:
        """The rows of a stage, once the block's units up to that stage are known."""
        first, last = self.ends[stage.start], self.ends[stage.stop]
        offset = self.ends[degrees.start]
        base = received[first - offset : last - offset]
        recent, start = known.recent(), known.start
        if not len(recent):
            return base
        own = start and isinstance(known, _Buffer)  # allocated by `receive`, and only read here
        add = base.addmm_ if own else base.addmm
        return add(self.weight[first:last, start : start + len(recent)], recent)


class _Buffer:
    """Known units of a layer in one tensor, without autograd."""

    def __init__(self, units: int, rows: int, like: Tensor) -> None:
        self.data = like.new_empty(units, rows)
        self.start = self.end = 0

    def append(self, units: Tensor) -> None:
        self.data[self.end : self.end + len(units)] = units
        self.end += len(units)

    def before(self) -> Tensor:
        return self.data[: self.start]

    def recent(self) -> Tensor:
        return self.data[self.start : self.end]

    def close(self) -> None:
        self.start = self.end

    def all(self) -> Tensor:
        return self.data


class _Pieces:
    """Known units of a layer for autograd, which forbids overwriting them."""

    def __init__(self, units: int, rows: int, like: Tensor) -> None:
        self.closed = like.new_empty(0, rows)
        self.pieces: list[Tensor] = [like.new_empty(0, rows)]

    @property
    def start(self) -> int:
        return len(self.closed)

    def append(self, units: Tensor) -> None:
        self.pieces.append(units)

    def before(self) -> Tensor:
        return self.closed

    def recent(self) -> Tensor:
        return torch.cat(self.pieces)

    def close(self) -> None:
        self.closed = torch.cat([self.closed, *self.pieces])
        self.pieces = [self.closed[:0]]

    def all(self) -> Tensor:
        return self.closed
