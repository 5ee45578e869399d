r"""Feature-by-feature generation with an autoregressive network, at the cost of one pass.

The usual way evaluates the whole masked network once per feature. But a hidden unit of degree d
depends only on the features of degree ≤ d, so it can be computed once, as soon as the feature of
its degree is known. The products then add up to one pass. Features that see the same units of the
last hidden layer do not wait for each other: they are one stage. The products are batched: what a
block of consecutive stages receives from all earlier ones is one product per layer; only
connections within the block are computed stage by stage.

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
    storage = _Buffer if may_overwrite() else _Pieces
    layers = [_Layer(layer, context, rows, storage) for layer in sorted_layers(network)]
    inputs, outputs = layers[0], layers[-1]
    for block in _blocks(network):
        for layer in layers:
            layer.begin(range(block[0].start, block[-1].stop))
        for stage in block:
            places = slice(max(stage.start - 1, 0), stage.stop - 1)
            if count := places.stop - places.start:
                params = outputs.rows(stage).view(count, network.params, rows)
                inputs.known.append(next_values(params.permute(2, 0, 1), places).mT)
            _advance(network, layers, stage)
        for layer in layers:
            layer.known.close()
    return inputs.known.all().index_select(0, network.degrees[0] - 1).mT


def _blocks(network: "AutoregressiveNetwork") -> list[list[range]]:
    """The degrees from 0 in stages, and these in blocks of about `BLOCK_UNITS` units."""
    stages = [range(*pair) for pair in pairwise(network.stages)]
    widest = max(network.features, *network.hidden_units, 1)
    size = max(1, BLOCK_UNITS * len(stages) // widest)
    return [stages[first : first + size] for first in range(0, len(stages), size)]


def _advance(network: "AutoregressiveNetwork", layers: list["_Layer"], stage: range) -> None:
    """Compute the hidden units of a stage, layer after layer."""
    skip: Any = None
    for index, (layer, above) in enumerate(pairwise(layers)):
        units = layer.rows(stage)
        if not len(units):
            continue
        if network.residual and index % 2 == 0:
            units = skip = units if index == 0 else skip + units
        above.known.append(network.activation(units))


class _Layer:
    """A layer in generation, with those of its inputs that are known."""

    def __init__(
        self,
        layer: SortedLayer,
        context: Tensor | None,
        rows: int,
        storage: "type[_Buffer | _Pieces]",
    ) -> None:
        self.layer = layer
        self.bias = layer.bias(context).expand(-1, rows)
        weight = layer.layer.weight
        self.known = storage(weight.shape[1], rows, weight)

    def begin(self, degrees: range) -> None:
        """Compute what the rows of a block get from biases and from all units before the block."""
        ends, before = self.layer.ends, self.known.before()
        rows = slice(ends[degrees.start], ends[degrees.stop])
        self.first = rows.start
        self.weight = self.layer.weight(rows, self.layer.seen[degrees.stop - 1])
        self.received = self.bias[rows]
        if len(before):
            self.received = torch.addmm(self.received, self.weight[:, : len(before)], before)

    def rows(self, stage: range) -> Tensor:
        """The rows of a stage, once the block's units up to that stage are known."""
        ends = self.layer.ends
        rows = slice(ends[stage.start] - self.first, ends[stage.stop] - self.first)
        base = self.received[rows]
        recent, start = self.known.recent(), self.known.start
        if not len(base) or not len(recent):
            return base
        own = start and isinstance(self.known, _Buffer)  # by `begin`, and read here only
        add = base.addmm_ if own else base.addmm
        return add(self.weight[rows, start : start + len(recent)], recent)


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
