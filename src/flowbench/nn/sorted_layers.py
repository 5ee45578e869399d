"""The layers of an autoregressive network with their units sorted by degree.

What a unit sees is then the first so many units of the layer below.
"""

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from flowbench.nn.autoregressive import AutoregressiveNetwork
    from flowbench.nn.linear import MaskedLinear

__all__ = ["SortedLayer", "by_degree", "sorted_layers"]


class SortedLayer:
    """A masked layer with its outputs and inputs sorted by degree.

    Args:
        layer: the layer.
        context: the layer of the context that is added to it, or None.
        above: the order of its outputs; None if they are sorted.
        below: the order of its inputs; None if they are sorted.
        ends: `ends[d]` is the number of outputs of degree < d: those of degree d are
            `ends[d] : ends[d + 1]`.
        seen: `seen[d]` is the number of inputs that an output of degree d sees.
    """

    def __init__(
        self,
        layer: "MaskedLinear",
        context: "MaskedLinear | None",
        *,
        above: Tensor | None,
        below: Tensor | None,
        ends: list[int],
        seen: list[int],
    ) -> None:
        self.layer = layer
        self.context = context
        self.above = above
        self.below = below
        self.ends = ends
        self.seen = seen

    def weight(self, rows: slice, columns: int) -> Tensor:
        """The masked weight of some outputs and of the first inputs, `[rows, columns]`."""
        weight, mask = self.layer.weight, self.layer.mask
        if weight.shape == (rows.stop - rows.start, columns):
            return self._block(weight * mask, rows, columns)
        return self._block(weight, rows, columns) * self._block(mask, rows, columns)

    def _block(self, matrix: Tensor, rows: slice, columns: int) -> Tensor:
        above, below = self.above, self.below
        part = matrix[rows] if above is None else matrix.index_select(0, above[rows])
        return part[:, :columns] if below is None else part.index_select(1, below[:columns])

    def bias(self, context: Tensor | None) -> Tensor:
        """What outputs get whatever the inputs, `[outputs, rows of the context or 1]`."""
        bias = self.layer.bias
        if bias is None:
            bias = self.layer.weight.new_zeros(len(self.layer.mask))
        total = bias.unsqueeze(-1)
        if self.context is not None and context is not None:
            total = total + self.context(context).mT
        return total if self.above is None else total.index_select(0, self.above)


def sorted_layers(network: "AutoregressiveNetwork") -> list[SortedLayer]:
    """The layers of a network, sorted; outputs of one feature stay adjacent, in their order.

    Example:
        >>> from flowbench.nn import AutoregressiveNetwork
        >>> network = AutoregressiveNetwork(3, params=1, input_order="right-to-left")
        >>> [layer] = sorted_layers(network)
        >>> layer.weight(slice(0, 3), 3).ne(0).int()
        tensor([[0, 0, 0],
                [1, 0, 0],
                [1, 1, 0]], dtype=torch.int32)
    """
    params, degrees = network.params, network.degrees
    orders = [
        None if known else by_degree(layer)
        for known, layer in zip(network.known_sorted, degrees, strict=True)
    ]
    outputs = orders[0]
    if outputs is not None:
        own = torch.arange(params, device=outputs.device)
        outputs = (outputs[:, None] * params + own).flatten()
    orders.append(outputs)
    ends = [*network.ends, [params * end for end in network.ends[0]]]
    layers: Any = network.layers
    contexts: Any = [*network.context_layers, *[None] * len(layers)]
    last = len(layers) - 1
    return [
        SortedLayer(
            layer,
            contexts[index],
            above=orders[index + 1],
            below=orders[index],
            ends=ends[index + 1],
            seen=ends[index] if index == last else ends[index][1:],
        )
        for index, layer in enumerate(layers)
    ]


def by_degree(degrees: Tensor) -> Tensor:
    """Units in the order of their degrees, as a stable sort gives it, which ONNX lacks.

    Example:
        >>> by_degree(torch.tensor([2, 1, 2]))
        tensor([1, 0, 2])
    """
    count = len(degrees)
    return (degrees * count + torch.arange(count, device=degrees.device)).argsort()
