"""Value-by-value generation with masked convolutions: each unit is computed once.

The unit of a map at a pixel depends only on units of earlier pixels, and of its own pixel on those
of no later group. So when a value is known, the units that it completes are computed, and kept
until a kernel has passed over them. The products then add up to those of one pass.

Units are rows and samples are columns, so that what a kernel sees of a line is one slice.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from flowbench.nn.convolutional import ConvolutionalNetwork, MaskedConvolution

__all__ = ["generate"]


@torch.no_grad()
def generate(
    network: "ConvolutionalNetwork",
    next_values: Callable[[Tensor, slice], Tensor],
    *,
    rows: int,
    context: Tensor | None = None,
) -> Tensor:
    """Generate values in raster order, each from its parameters given the earlier ones.

    The samples carry no gradients.

    Args:
        network: the network; dropout is not applied.
        next_values: maps the parameters `[rows, 1, params]` of a value and its place to the value
            in [−1, 1], `[rows, 1]`.
        rows: number of samples.
        context: `[rows or 1, context_features]`, or None.

    Returns:
        The samples `[rows, features]`.

    Example:
        >>> from flowbench.nn import ConvolutionalNetwork
        >>> network = ConvolutionalNetwork((3, 3, 1), 1, units=4, inner_units=2, blocks=1)
        >>> x = generate(network, lambda params, place: params.tanh()[..., 0], rows=2)
        >>> torch.allclose(x, network(x)[..., 0].tanh(), atol=1e-6)
        True
    """
    _, width, channels = network.shape
    maps = _Maps(network, rows, context)
    values = []
    for feature in range(network.features):
        pixel, group = divmod(feature, channels)
        params = maps.params(*divmod(pixel, width), group)
        values.append(next_values(params.mT.unsqueeze(1), slice(feature, feature + 1)))
        maps.append(values[-1], pixel % width, group)
    return torch.cat(values, dim=-1)


class _Maps:
    """The units that kernels have still to pass over, layer by layer."""

    def __init__(self, network: "ConvolutionalNetwork", rows: int, context: Tensor | None) -> None:
        def follow(layer: Any) -> _Map:
            return _Map(layer, width=network.shape[1], rows=rows)

        self.network = network
        self.first, self.middle, self.last = map(
            follow, (network.first, network.middle, network.last)
        )
        blocks: Any = network.blocks
        self.blocks = [
            {name: follow(layer) for name, layer in one.named_children()} for one in blocks
        ]
        self.contexts = [layer(context).mT for layer in network.context_layers]
        self.biases = network.biases(context)

    def params(self, line: int, column: int, group: int) -> Tensor:
        """The parameters `[params, rows]` of a value, once all earlier values are known."""
        network, activation = self.network, self.network.activation
        if column == group == 0:
            for one in (self.first, *(block["kernel"] for block in self.blocks)):
                one.begin_line()
        bias = self.biases[:, line, column].chunk(network.shape[2], dim=-1)[group]
        hidden = self.first.units(column, group) + bias.mT
        for index, block in enumerate(self.blocks):
            inner = block["narrow"].after(activation(hidden), column, group)
            if self.contexts:
                inner = inner + self.contexts[index].chunk(network.shape[2])[group]
            inner = block["kernel"].after(activation(inner), column, group)
            inner = network.after_kernel(inner.mT, groups=1).mT
            hidden = hidden + block["widen"].after(inner, column, group)
        middle = activation(self.middle.after(activation(hidden), column, group))
        return self.last.after(middle, column, group)

    def append(self, value: Tensor, column: int, group: int) -> None:
        """Take in a value `[rows, 1]`."""
        self.first.put(self.network.inputs(value).mT, column, group)


class _Map:
    """The inputs of one masked convolution in the lines that its kernel reaches."""

    def __init__(self, layer: "MaskedConvolution", *, width: int, rows: int) -> None:
        steps, groups, kernel = layer.steps, layer.groups, layer.kernel
        self.reach, self.dilation = steps * layer.dilation, layer.dilation
        taps = [*[2 * steps + 1] * steps, steps + 1]  # of each line
        self.weights = [
            [part[:, line, :size].flatten(1) for line, size in enumerate(taps)]
            for part in kernel.chunk(groups)
        ]
        self.biases = [part.unsqueeze(-1) for part in layer.bias.chunk(groups)]
        inputs = kernel.shape[-1]
        self.size = inputs // groups
        self.empty = kernel.new_zeros(width + 2 * self.reach if steps else 1, inputs, rows)
        self.lines = [self.empty.clone() for _ in range(self.reach + 1)]

    def begin_line(self) -> None:
        """Drop the line that the kernel no longer reaches."""
        self.lines = [*self.lines[1:], self.empty.clone()]

    def put(self, inputs: Tensor, column: int, group: int) -> None:
        """Keep the inputs `[inputs, rows]` of a group in the current line."""
        place = column + self.reach if self.reach else 0
        self.lines[-1][place, group * self.size : (group + 1) * self.size] = inputs

    def units(self, column: int, group: int) -> Tensor:
        """The units `[units, rows]` of a group at a pixel of the current line."""
        first = column if self.reach else 0
        total = self.biases[group]
        for line, weight in zip(self.lines[:: self.dilation], self.weights[group], strict=True):
            taps = weight.shape[1] // line.shape[1]
            seen = line[first : first + (taps - 1) * self.dilation + 1 : self.dilation]
            total = torch.addmm(total, weight, seen.flatten(0, 1))
        return total

    def after(self, inputs: Tensor, column: int, group: int) -> Tensor:
        """Keep the inputs of a group, and return the units that they complete."""
        self.put(inputs, column, group)
        return self.units(column, group)
