"""The rational-quadratic spline."""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from flowbench.config.limits import Bins, Positive
from flowbench.tracing import may_split
from flowbench.transforms.univariate import UnivariateMap, softly_bounded

__all__ = [
    "RationalQuadraticMap",
    "bin_of",
    "evaluate",
    "knots",
    "parameters_first",
    "slopes",
    "solve",
]

SMALLEST_SHARE = 1e-3
LOG_SLOPE_BOUND = math.log(1e3)


class Bin(NamedTuple):
    """The bin of a spline in which a point lies; all `[..., features]`."""

    left: Tensor
    right: Tensor
    bottom: Tensor
    top: Tensor
    left_slope: Tensor
    right_slope: Tensor
    slope: Tensor


Spline = Callable[[Bin, Tensor], tuple[Tensor, Tensor]]


class RationalQuadraticMap(UnivariateMap):
    r"""A monotone rational-quadratic spline u = g(x) on [−B, B], and the identity outside.

    The K bins have widths and heights from softmaxes of K parameters each, none smaller than 10⁻³
    of the interval. The slopes at the K − 1 inner knots are exp(b tanh(s / b)) with b = log 1000,
    and 1 at the ends. With ξ the position in a bin of secant slope σ and end slopes δ₀, δ₁,

    g = y₀ + (y₁ − y₀) [σ ξ² + δ₀ ξ (1 − ξ)] / [σ (ξ² + (1 − ξ)²) + (δ₀ + δ₁) ξ (1 − ξ)].

    As in the paper, g takes data: `inverse` evaluates the formula, `forward` solves a quadratic
    equation. All sums have terms of one sign, and the discriminant is a sum of non-negative terms,
    so that rounding cannot make it negative.

    Args:
        bins: K, the number of bins.
        bound: B, half the width of the interval; the spline is the identity outside of [−B, B].

    Raises:
        ValueError: there are fewer than 1 or more than 500 bins, or the bound is not positive.

    References:
        Durkan et al. 2019, "Neural spline flows" (arXiv:1906.04032), section 3.1; there the slopes
        are softplus functions without an upper bound.

    Example:
        >>> import torch
        >>> spline = RationalQuadraticMap(bins=4)
        >>> u, log_slope = spline.inverse(torch.tensor([0.5, 9.0]), torch.zeros(2, spline.params))
        >>> u
        tensor([0.5000, 9.0000])
    """

    def __init__(self, bins: Bins = 8, *, bound: Positive = 3.0) -> None:
        super().__init__()
        self.bins = bins
        self.bound = bound
        self.params: int = 3 * bins - 1

    def forward(self, u: Tensor, params: Tensor) -> tuple[Tensor, Tensor]:  # noqa: D102
        x, log_slope = self._mapped(solve, u, params, along=1)
        return x, -log_slope

    def inverse(self, x: Tensor, params: Tensor) -> tuple[Tensor, Tensor]:  # noqa: D102
        return self._mapped(evaluate, x, params, along=0)

    def _mapped(
        self, spline: Spline, value: Tensor, params: Tensor, *, along: int
    ) -> tuple[Tensor, Tensor]:
        if may_split(value) and are_columns(value):
            pair = self._mapped(spline, value.mT, params.transpose(0, 1), along=along)
            return pair[0].mT, pair[1].mT
        first = parameters_first(value, params)
        value = value.expand(first.shape[1:])
        places = knots(first[: 2 * self.bins], bound=self.bound)
        unit = torch.zeros_like(first[:1])
        raw = torch.cat([unit, first[2 * self.bins :], unit])
        clamped = value.clamp(-self.bound, self.bound)
        mapped, log_slope = spline(bin_of(places, raw, clamped, along=along), clamped)
        inside = value.abs() <= self.bound
        return torch.where(inside, mapped, value), torch.where(inside, log_slope, 0.0)


def are_columns(value: Tensor) -> bool:
    """Whether a matrix is stored column by column."""
    return value.ndim == 2 and value.mT.is_contiguous() and not value.is_contiguous()


def parameters_first(value: Tensor, params: Tensor) -> Tensor:
    """Parameters `[params, ...]` for values `[...]`; batches broadcast.

    Sums and softmaxes along a short last dimension are slow.
    """
    shape = torch.broadcast_shapes(value.shape, params.shape[:-1])
    return params.expand(*shape, -1).movedim(-1, 0).contiguous()


def slopes(raw: Tensor) -> Tensor:
    """The slopes at knots from unbounded parameters; zeros give ones."""
    return torch.exp(softly_bounded(raw, LOG_SLOPE_BOUND))


def knots(sizes: Tensor, *, bound: float) -> Tensor:
    """Abscissae and ordinates of the knots on [−bound, bound], `[2, bins + 1, ...]`.

    Args:
        sizes: unnormalised widths and then heights, `[2 bins, ...]`.
        bound: half the width of the interval.
    """
    bins = len(sizes) // 2
    shares = sizes.unflatten(0, (2, bins)).softmax(1)
    least = torch.arange(1, bins, device=sizes.device, dtype=sizes.dtype) * SMALLEST_SHARE
    least = (bound * (2 * least - 1)).view(-1, *[1] * (sizes.ndim - 1))
    stretch = 2 * bound * (1 - bins * SMALLEST_SHARE)
    inner = torch.add(least, shares[:, :-1].cumsum(1), alpha=stretch)
    ends = torch.full_like(shares[:, :1], bound)
    return torch.cat([-ends, inner, ends], dim=1)


def bin_of(knots: Tensor, raw: Tensor, value: Tensor, *, along: int) -> Bin:
    """The bin of each value along the abscissa (0) or the ordinate (1).

    Args:
        knots: abscissae and ordinates, `[2, bins + 1, ...]`.
        raw: unbounded parameters of the slopes at the knots, `[bins + 1, ...]`.
        value: in the interval, `[...]`.
        along: which of the two the values are.
    """
    index = (value >= knots[along, 1:-1]).sum(0)
    ends = torch.stack([index, index + 1])
    (left, right), (bottom, top) = knots.gather(1, ends.expand(2, *ends.shape)).unbind()
    left_slope, right_slope = slopes(raw.gather(0, ends)).unbind()
    slope = (top - bottom) / (right - left)
    return Bin(left, right, bottom, top, left_slope, right_slope, slope)


def evaluate(piece: Bin, x: Tensor) -> tuple[Tensor, Tensor]:
    """The spline and the log of its slope at x."""
    width = piece.right - piece.left
    position, rest = (x - piece.left) / width, (piece.right - x) / width
    slope = piece.slope
    rising = slope * position.square() + piece.left_slope * position * rest
    falling = slope * rest.square() + piece.right_slope * position * rest
    u = torch.lerp(piece.bottom, piece.top, rising / (rising + falling))
    return u, _log_slope(piece, position, rest)


def solve(piece: Bin, u: Tensor) -> tuple[Tensor, Tensor]:
    r"""The x at which the spline is u, and the log of its slope there.

    With η the height in the bin and q = δ₀ (1 − η) − δ₁ η, the root is ξ = 2ση / (2ση + p), where
    p = q + √(q² + 4 σ² η (1 − η)).
    """
    height = piece.top - piece.bottom
    above, below = (u - piece.bottom) / height, (piece.top - u) / height
    slope = piece.slope
    q = piece.left_slope * below - piece.right_slope * above
    product = 4 * slope.square() * above * below
    larger = q.abs() + torch.sqrt(q.square() + product)
    p = torch.where(q >= 0, larger, product / larger)
    doubled = 2 * slope * above
    position, rest = doubled / (doubled + p), p / (doubled + p)
    return torch.lerp(piece.left, piece.right, position), _log_slope(piece, position, rest)


def _log_slope(piece: Bin, position: Tensor, rest: Tensor) -> Tensor:
    slope, product = piece.slope, position * rest
    numerator = (
        piece.right_slope * position.square()
        + 2 * slope * product
        + piece.left_slope * rest.square()
    )
    denominator = (
        slope * (position.square() + rest.square())
        + (piece.left_slope + piece.right_slope) * product
    )
    return torch.log(numerator * (slope / denominator).square())
