r"""Masked convolutions: a conditioner of pictures, each value given those before it.

Values are in the order row, column, channel. A unit belongs to a pixel and to one of as many
groups as there are channels, which are equal parts of the units of its layer. A unit of group g
depends on all pixels before its own, and in its own pixel on the channels before g.
"""

from collections.abc import Callable, Sequence
from itertools import cycle
from math import prod
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flowbench.config.checked import Checked
from flowbench.config.limits import AtLeastOne, AtLeastZero, Dropout
from flowbench.nn.activations import ACROSS_UNITS
from flowbench.nn.contexts import declared
from flowbench.nn.options import ACTIVATIONS, Function, resolve
from flowbench.nn.passes import generate_by_passes, is_overridden
from flowbench.nn.raster import generate
from flowbench.tracing import may_overwrite

__all__ = ["ConvolutionalNetwork", "MaskedConvolution"]


class MaskedConvolution(nn.Module):
    r"""A convolution over the pixels before a pixel, and over what a unit may see of its own.

    It maps `[rows, height, width, inputs]` to `[rows, height, width, units]`. Its kernel reaches
    `size // 2` steps up and as many to both sides, and ends at the pixel itself.

    Args:
        inputs: number of units of a pixel.
        units: number of new units of a pixel.
        size: odd width of the kernel; with 1 it mixes the units of each pixel.
        dilation: pixels per step.
        groups: number of channels of a picture.
        own: whether a unit sees units of its own group in its own pixel.

    Example:
        >>> import torch
        >>> MaskedConvolution(1, 4, size=3, own=False)(torch.zeros(2, 5, 5, 1)).shape
        torch.Size([2, 5, 5, 4])
    """

    mask: Tensor

    def __init__(
        self,
        inputs: int,
        units: int,
        *,
        size: int = 1,
        dilation: int = 1,
        groups: int = 1,
        own: bool = True,
    ) -> None:
        super().__init__()
        self.steps: int = size // 2
        self.dilation = dilation
        self.groups = groups
        mask = torch.ones(units, self.steps + 1, size, inputs, dtype=torch.bool, device="cpu")
        mask[:, -1, self.steps + 1 :] = False
        group_of = [torch.arange(n, device="cpu") * groups // n for n in (units, inputs)]
        mask[:, -1, self.steps] = group_of[1] < group_of[0][:, None] + own
        self.is_full: bool = bool(mask.all())
        here = torch.get_default_device()
        self.register_buffer("mask", mask.to(here), persistent=False)
        bound = max(1, int(mask[-1].sum())) ** -0.5
        self.weight: nn.Parameter = nn.Parameter(
            torch.empty(mask.shape, device=here).uniform_(-bound, bound)
        )
        self.bias: nn.Parameter = nn.Parameter(
            torch.empty(units, device=here).uniform_(-bound, bound)
        )

    @property
    def kernel(self) -> Tensor:
        """The weights with the mask applied, `[units, steps + 1, size, inputs]`."""
        return self.weight if self.is_full else self.weight * self.mask

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        reach = self.steps * self.dilation
        padded = F.pad(x, (0, 0, reach, reach, reach, 0)) if reach else x
        pixels, kernel = padded.permute(0, 3, 1, 2), self.kernel.permute(0, 3, 1, 2)
        return F.conv2d(pixels, kernel, self.bias, dilation=self.dilation).permute(0, 2, 3, 1)


class ConvolutionalNetwork(Checked, nn.Module):
    r"""Masked convolutions in residual blocks (PixelCNN).

    It maps `[..., features]` to `[..., features, params]`, where the features are the values of a
    picture in [−1, 1], in the order row, column, channel. The parameters of a value depend on the
    values before it and on the context. After a first convolution, which is given each value v and
    whether v > −1, come blocks h ← h + W₂ a(K a(W₁ a(h) + V c)) with masked kernels K, where c is
    the context, and then two layers within each pixel. Each pixel has a bias of its own, to which
    the context adds another, linear in c.

    Args:
        shape: height, width and channels of a picture.
        params: outputs per value.
        units: hidden units of a pixel, rounded up to a multiple of the channels.
        inner_units: units of a pixel between W₁ and W₂, rounded likewise.
        blocks: number of residual blocks.
        first_kernel: odd width of the first kernel.
        kernel: odd width of the other kernels.
        dilations: pixels per step of the kernels, block after block, from the start again.
        gated: a gate a · σ(b) in place of the activation after a kernel.
        context_features: size of the context, 0 for none; it enters every block, and every pixel.
        activation: name or callable, applied to each unit separately.
        dropout: probability of dropping a hidden unit in training.

    Raises:
        ValueError: a kernel has an even width, there are no dilations, or an option is out of
            range.

    References:
        Van den Oord et al. 2016, "Pixel recurrent neural networks" (arXiv:1601.06759), section 3,
        and for gates "Conditional image generation with PixelCNN decoders" (arXiv:1606.05328).

    Example:
        >>> import torch
        >>> network = ConvolutionalNetwork((4, 4, 1), params=3, units=8, inner_units=4, blocks=2)
        >>> network(torch.zeros(5, 16)).shape
        torch.Size([5, 16, 3])
    """

    def __init__(
        self,
        shape: Sequence[AtLeastOne],
        params: AtLeastOne,
        *,
        units: AtLeastOne = 64,
        inner_units: AtLeastOne = 32,
        blocks: AtLeastZero = 8,
        first_kernel: AtLeastOne = 7,
        kernel: AtLeastOne = 3,
        dilations: Sequence[AtLeastOne] = (1,),
        gated: bool = False,
        context_features: AtLeastZero = 0,
        activation: str | Function = "relu",
        dropout: Dropout = 0.0,
    ) -> None:
        super().__init__()
        channels = shape[2]
        for name, size in (("first_kernel", first_kernel), ("kernel", kernel)):
            if size % 2 == 0:
                raise ValueError(f"{name}={size}: expected an odd width")
        if not dilations:
            raise ValueError("dilations=[]: expected at least one")
        units, inner_units = (-(-n // channels) * channels for n in (units, inner_units))
        if activation in ACROSS_UNITS:
            raise ValueError(f"activation={activation!r}: expected one that acts on single units")
        self.shape: tuple[int, ...] = tuple(shape)
        self.features: int = prod(shape)
        self.order: range = range(self.features)
        self.params = params
        self.context_features = context_features
        self.gated = gated
        self.activation: Function = (
            resolve("activation", activation, ACTIVATIONS) or ACTIVATIONS["linear"]
        )
        self.dropout: nn.Dropout = nn.Dropout(dropout)
        self.first: MaskedConvolution = MaskedConvolution(
            2 * channels, units, size=first_kernel, groups=channels, own=False
        )
        here = torch.get_default_device()
        self.positions: nn.Parameter = nn.Parameter(torch.zeros(*shape[:2], units, device=here))
        self.context_positions: nn.Parameter | None = None
        if context_features:
            at_first = torch.zeros(context_features, *shape[:2], units, device=here)
            self.context_positions = nn.Parameter(at_first)
        self.blocks: nn.ModuleList = nn.ModuleList(
            _Block(units, inner_units, size=kernel, step=step, gated=gated, groups=channels)
            for _, step in zip(range(blocks), cycle(dilations), strict=False)
        )
        self.context_layers: nn.ModuleList = nn.ModuleList(
            nn.Linear(context_features, inner_units, bias=False, device=here)
            for _ in range(blocks if context_features else 0)
        )
        self.middle: MaskedConvolution = MaskedConvolution(units, units, groups=channels)
        self.last: MaskedConvolution = MaskedConvolution(units, channels * params, groups=channels)
        _start_at_zero(self.last)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Compute the parameters of every value.

        Args:
            x: `[..., features]`.
            context: `[..., context_features]`, if declared.

        Returns:
            `[..., features, params]`; batch dimensions of x and context broadcast.
        """
        self.check_context(context)
        batch = x.shape[:-1]
        if context is not None:
            batch = torch.broadcast_shapes(batch, context.shape[:-1])
            context = context.expand(*batch, -1).reshape(-1, self.context_features)
        pixels = x.expand(*batch, -1).reshape(-1, *self.shape)
        hidden = self.first(self.inputs(pixels)) + self.biases(context)
        blocks: Any = self.blocks
        for index, block in enumerate(blocks):
            inner = block.narrow(self.activation(hidden))
            if context is not None:
                inner = inner + self.context_layers[index](context)[:, None, None]
            inner = self.after_kernel(block.kernel(self.activation(inner)))
            hidden = hidden + block.widen(self.dropout(inner))
        middle = self.activation(self.middle(self.activation(hidden)))
        return self.last(middle).reshape(*batch, self.features, self.params)

    def biases(self, context: Tensor | None) -> Tensor:
        """Those of every pixel, `[rows or 1, height, width, units]`."""
        if context is None or self.context_positions is None:
            return self.positions.unsqueeze(0)
        return self.positions + torch.tensordot(context, self.context_positions, dims=1)

    @staticmethod
    def inputs(pixels: Tensor) -> Tensor:
        """What the first convolution is given of values `[..., channels]`: twice as many."""
        return torch.stack([pixels, (pixels > -1).to(pixels.dtype)], dim=-1).flatten(-2)

    def after_kernel(self, units: Tensor, groups: int | None = None) -> Tensor:
        """The gate, or the activation, of the units that a kernel computes, `[..., units]`."""
        if not self.gated:
            return self.activation(units)
        groups = self.shape[2] if groups is None else groups
        value, gate = units.unflatten(-1, (groups, 2, -1)).unbind(-2)
        return (value * gate.sigmoid()).flatten(-2)

    def check_context(self, context: Tensor | None) -> Tensor | None:
        """The context; see `flowbench.nn.contexts.declared`."""
        return declared(context, self.context_features)

    def generate(
        self,
        next_values: Callable[[Tensor, slice], Tensor],
        *,
        rows: int,
        context: Tensor | None = None,
    ) -> Tensor:
        """Generate values in raster order; see `flowbench.nn.raster.generate`.

        Where `forward` is overridden or hooked, each value takes a pass of the network.
        """
        if may_overwrite() and not is_overridden(self, ConvolutionalNetwork, MaskedConvolution):
            return generate(self, next_values, rows=rows, context=context)
        return generate_by_passes(
            self, next_values, order=range(self.features), rows=rows, like=self.positions,
            context=context,
        )  # fmt: skip


class _Block(nn.Module):
    """The layers of a residual block, which at first adds nothing."""

    def __init__(
        self, units: int, inner_units: int, *, size: int, step: int, gated: bool, groups: int
    ) -> None:
        super().__init__()
        computed = 2 * inner_units if gated else inner_units
        self.narrow = MaskedConvolution(units, inner_units, groups=groups)
        self.kernel = MaskedConvolution(
            inner_units, computed, size=size, dilation=step, groups=groups
        )
        self.widen = MaskedConvolution(inner_units, units, groups=groups)
        _start_at_zero(self.widen)


def _start_at_zero(layer: MaskedConvolution) -> None:
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
