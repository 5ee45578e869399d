"""The layers of an autoregressive network with their units sorted by degree.

What a unit sees is then the first so many units of the layer below, hence a slice of its weights.
"""

from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

if TYPE_CHECKING:
    from flowbench.nn.autoregressive import AutoregressiveNetwork

__all__ = ["SortedLayer", "by_degree", "sorted_layers"]


class SortedLayer(NamedTuple):
    """A linear layer with its outputs and inputs sorted by degree.

    Attributes:
        weight: with its mask applied, `[above, below]`.
        bias: `[above, 1]`.
        context: the weight of the context, `[above, context_features]`, or None.
        ends: `ends[d]` is the number of rows of degree < d: rows of degree d are
            `ends[d] : ends[d + 1]`.
    """

    weight: Tensor
    bias: Tensor
    context: Tensor | None
    ends: list[int]


def sorted_layers(network: "AutoregressiveNetwork") -> list[SortedLayer]:
    """The layers of a network, sorted; outputs of one feature stay adjacent, in their order.

    Example:
        >>> from flowbench.nn import AutoregressiveNetwork
        >>> network = AutoregressiveNetwork(3, params=1, input_order="right-to-left")
        >>> [layer] = sorted_layers(network)
        >>> layer.weight.ne(0).int()
        tensor([[0, 0, 0],
                [1, 0, 0],
                [1, 1, 0]], dtype=torch.int32)
    """
    params = network.params
    orders = [by_degree(degrees) for degrees in network.degrees]
    outputs = orders[0][:, None] * params + torch.arange(params, device=orders[0].device)
    orders.append(outputs.flatten())
    ends = [*network.ends, [params * end for end in network.ends[0]]]
    found = []
    layers: Any = network.layers
    contexts: Any = network.context_layers
    for index, layer in enumerate(layers):
        below, above = orders[index], orders[index + 1]
        weight = layer.kernel.index_select(0, above).index_select(1, below)
        bias = layer.weight.new_zeros(len(above), 1)
        if layer.bias is not None:
            bias = layer.bias[above, None]
        context = contexts[index].kernel[above] if index < len(contexts) else None
        found.append(SortedLayer(weight, bias, context, ends[index + 1]))
    return found


def by_degree(degrees: Tensor) -> Tensor:
    """Units in the order of their degrees, as a stable sort gives it, which ONNX lacks.

    Example:
        >>> by_degree(torch.tensor([2, 1, 2]))
        tensor([1, 0, 2])
    """
    count = len(degrees)
    return (degrees * count + torch.arange(count, device=degrees.device)).argsort()
