"""The rational-quadratic spline."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from flowbench.config.limits import Bins, Positive
from flowbench.transforms.univariate import UnivariateMap

__all__ = ["RationalQuadraticMap", "bin_of", "evaluate", "knots", "slopes", "solve"]

SMALLEST_SHARE = 1e-3
LOG_SLOPE_BOUND = math.log(1e3)


class _Bin(NamedTuple):
    """The bin of a spline in which a point lies; all `[..., features]`."""

    left: Tensor
    right: Tensor
    bottom: Tensor
    top: Tensor
    left_slope: Tensor
    right_slope: Tensor

    @property
    def slope(self) -> Tensor:
        return (self.top - self.bottom) / (self.right - self.left)


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
        self.params = 3 * bins - 1

    def forward(self, u: Tensor, params: Tensor) -> tuple[Tensor, Tensor]:  # noqa: D102
        inside, clamped, knots = self._prepare(u, params)
        piece = bin_of(knots, clamped, along=1)
        x, log_slope = solve(piece, clamped)
        return torch.where(inside, x, u), torch.where(inside, -log_slope, 0.0)

    def inverse(self, x: Tensor, params: Tensor) -> tuple[Tensor, Tensor]:  # noqa: D102
        inside, clamped, knots = self._prepare(x, params)
        piece = bin_of(knots, clamped, along=0)
        u, log_slope = evaluate(piece, clamped)
        return torch.where(inside, u, x), torch.where(inside, log_slope, 0.0)

    def _prepare(self, value: Tensor, params: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Whether a value is inside, the clamped value, and the knots; batches broadcast."""
        shape = torch.broadcast_shapes(value.shape, params.shape[:-1])
        knots = self._knots(params.expand(*shape, -1).movedim(-1, 0).contiguous())
        clamped = value.clamp(-self.bound, self.bound).expand(shape)
        return value.abs() <= self.bound, clamped, knots

    def _knots(self, params: Tensor) -> Tensor:
        widths, heights, raw = params.split([self.bins, self.bins, self.bins - 1])
        ones = torch.ones_like(params[:1])
        return knots(widths, heights, torch.cat([ones, slopes(raw), ones]), bound=self.bound)


def slopes(raw: Tensor) -> Tensor:
    """The slopes at knots from unbounded parameters; zeros give ones."""
    return torch.exp(LOG_SLOPE_BOUND * torch.tanh(raw / LOG_SLOPE_BOUND))


def knots(widths: Tensor, heights: Tensor, at_knots: Tensor, *, bound: float) -> Tensor:
    """Abscissae, ordinates and slopes of the knots on [−bound, bound], `[3, bins + 1, ...]`.

    The parameters come first, since sums and softmaxes along a short last dimension are slow.

    Args:
        widths: unnormalised, `[bins, ...]`.
        heights: unnormalised, `[bins, ...]`.
        at_knots: the slopes, `[bins + 1, ...]`.
        bound: half the width of the interval.
    """
    shares = torch.stack([widths, heights]).softmax(1)
    shares = SMALLEST_SHARE + (1 - len(widths) * SMALLEST_SHARE) * shares
    inner = bound * (2 * shares[:, :-1].cumsum(1) - 1)
    ends = torch.full_like(shares[:, :1], bound)
    positions = torch.cat([-ends, inner, ends], dim=1)
    return torch.cat([positions, at_knots.unsqueeze(0)])


def bin_of(knots: Tensor, value: Tensor, *, along: int) -> _Bin:
    """The bin of each value along the abscissa (0) or the ordinate (1)."""
    index = (value >= knots[along, 1:-1]).sum(0)
    ends = torch.stack([index, index + 1]).expand(3, 2, *index.shape)
    return _Bin(*knots.gather(1, ends).flatten(0, 1).unbind())


def evaluate(piece: _Bin, x: Tensor) -> tuple[Tensor, Tensor]:
    """The spline and the log of its slope at x."""
    width = piece.right - piece.left
    position, rest = (x - piece.left) / width, (piece.right - x) / width
    slope = piece.slope
    rising = slope * position.square() + piece.left_slope * position * rest
    falling = slope * rest.square() + piece.right_slope * position * rest
    u = torch.lerp(piece.bottom, piece.top, rising / (rising + falling))
    return u, _log_slope(piece, position, rest)


def solve(piece: _Bin, u: Tensor) -> tuple[Tensor, Tensor]:
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


def _log_slope(piece: _Bin, position: Tensor, rest: Tensor) -> Tensor:
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
    return 2 * (slope.log() - denominator.log()) + numerator.log()
