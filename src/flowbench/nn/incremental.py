r"""Feature-by-feature generation with an autoregressive network, at the cost of one pass.

The usual way evaluates the whole masked network once per feature. But a hidden unit of degree d
depends only on the features of degree ≤ d, so it can be computed once, as soon as the feature of
its degree is known. The products then add up to one pass. They are batched: what a block of
consecutive degrees receives from all earlier degrees is one product per layer; only connections
within the block are computed degree by degree.

Units are rows and samples are columns, so that known units are a contiguous slice.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from flowbench.tracing import may_overwrite

if TYPE_CHECKING:
    from flowbench.nn.autoregressive import AutoregressiveNetwork

__all__ = ["generate"]

BLOCK_UNITS = 64


def generate(
    network: "AutoregressiveNetwork",
    next_value: Callable[[Tensor, int], Tensor],
    *,
    rows: int,
    context: Tensor | None = None,
) -> Tensor:
    """Generate features in the network's order, each from its parameters given the earlier ones.

    Differentiable with respect to all inputs when autograd is enabled.

    Args:
        network: the network; dropout is not applied.
        next_value: maps the parameters `[rows, 1, params]` of a feature and its index to its
            values `[rows, 1]`.
        rows: number of samples.
        context: `[rows or 1, context_features]`, or None.

    Returns:
        The samples `[rows, features]`.

    Example:
        >>> from flowbench.nn import AutoregressiveNetwork
        >>> network = AutoregressiveNetwork(3, params=1, hidden_units=[8], activation="tanh")
        >>> x = generate(network, lambda params, feature: params[..., 0] + 1.0, rows=2)
        >>> torch.allclose(x, network(x)[..., 0] + 1.0)
        True
    """
    layers = _sorted_layers(network, context, rows)
    features, order = network.features, network.order
    storage = _Buffer if may_overwrite() else _Pieces
    like = layers[0].weight
    known = [storage(layer.weight.shape[1], rows, like) for layer in layers]
    widest = max([features, *[len(layer.weight) for layer in layers[:-1]]])
    block = max(1, min(features, BLOCK_UNITS * features // widest))
    for first in range(0, features + 1, block):
        degrees = range(first, min(first + block, features + 1))
        received = [
            layer.receive(units, degrees) for layer, units in zip(layers, known, strict=True)
        ]
        for degree in degrees:
            if degree:
                params = layers[-1].rows(received[-1], known[-1], degree, degrees)
                feature = order[degree - 1]
                value = next_value(params.view(network.params, rows).mT.unsqueeze(-2), feature)
                known[0].append(value.mT)
            _advance(network, layers, known, received, degree, degrees)
        for units in known:
            units.close()
    return known[0].all().index_select(0, network.degrees[0] - 1).mT


def _advance(
    network: "AutoregressiveNetwork",
    layers: list["_Layer"],
    known: list["_Buffer | _Pieces"],
    received: list[Tensor],
    degree: int,
    degrees: range,
) -> None:
    """Compute the hidden units of one degree, layer after layer."""
    skip: Any = None
    for index, layer in enumerate(layers[:-1]):
        if layer.ends[degree + 1] == layer.ends[degree]:
            continue
        units = layer.rows(received[index], known[index], degree, degrees)
        if network.residual and index % 2 == 0:
            units = skip = units if index == 0 else skip + units
        known[index + 1].append(network.activation(units))


class _Layer(NamedTuple):
    """A linear layer with its outputs and inputs sorted by degree.

    `ends[d]` is the number of rows of degree < d: rows of degree d are `ends[d] : ends[d + 1]`.
    """

    weight: Tensor
    bias: Tensor
    ends: list[int]

    def receive(self, known: "_Buffer | _Pieces", degrees: range) -> Tensor:
        """The contribution to the rows of a block from biases and all units before the block."""
        first, last = self.ends[degrees.start], self.ends[degrees.stop]
        before = known.before()
        if not len(before):
            return self.bias[first:last]
        return torch.addmm(self.bias[first:last], self.weight[first:last, : len(before)], before)

    def rows(
        self, received: Tensor, known: "_Buffer | _Pieces", degree: int, degrees: range
    ) -> Tensor:
        """The rows of one degree, once the block's units up to that degree are known."""
        first, last = self.ends[degree], self.ends[degree + 1]
        offset = self.ends[degrees.start]
        base = received[first - offset : last - offset]
        recent, start = known.recent(), known.start
        if not len(recent):
            return base
        own = start and isinstance(known, _Buffer)  # allocated by `receive`, and only read here
        add = base.addmm_ if own else base.addmm
        return add(self.weight[first:last, start : start + len(recent)], recent)


def _sorted_layers(
    network: "AutoregressiveNetwork", context: Tensor | None, rows: int
) -> list[_Layer]:
    """The layers of a network sorted by degree, with biases and contexts summed."""
    params = network.params
    orders = [_by_degree(degrees) for degrees in network.degrees]
    outputs = orders[0][:, None] * params + torch.arange(params, device=orders[0].device)
    orders.append(outputs.flatten())
    ends = [*network.ends, [params * end for end in network.ends[0]]]
    sorted_layers = []
    layers: Any = network.layers
    for index, layer in enumerate(layers):
        below, above = orders[index], orders[index + 1]
        weight = layer.kernel.index_select(0, above).index_select(1, below)
        column = layer.weight.new_zeros(len(above), 1)
        if layer.bias is not None:
            column = layer.bias[above, None]
        if index < len(network.context_layers) and context is not None:
            column = column + network.context_layers[index](context).mT[above]
        sorted_layers.append(_Layer(weight, column.expand(-1, rows), ends[index + 1]))
    return sorted_layers


def _by_degree(degrees: Tensor) -> Tensor:
    """Units in the order of their degrees, as a stable sort gives it, which ONNX lacks."""
    count = len(degrees)
    return (degrees * count + torch.arange(count, device=degrees.device)).argsort()


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
