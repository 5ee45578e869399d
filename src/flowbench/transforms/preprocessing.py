"""Maps of data to a space that is easier to model; their `inverse` is what acts on data."""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from flowbench.transforms.base import Transform, constant, real_event, widened

__all__ = ["Angle", "Bounded", "Clip", "Log"]


class Clip(Transform):
    r"""Clip values to two bounds, in both directions: uᵢ = min(max(xᵢ, l), h).

    log |det ∂u/∂x| is 0. It is not a bijection: the density is that of clipped values, and a
    value beyond a bound has the density of the bound.

    Args:
        low: l, one per feature.
        high: h, one per feature, not below `low`.

    Raises:
        ValueError: a lower bound is above the upper one.

    Example:
        >>> Clip(low=[0.0], high=[1.0]).inverse(torch.tensor([[0.5], [7.0]]))
        (tensor([[0.5000], [1.0000]]), tensor([0., 0.]))
    """

    context_features: int = 0
    low: Tensor
    high: Tensor

    def __init__(self, low: Sequence[float] | Tensor, high: Sequence[float] | Tensor) -> None:
        super().__init__()
        lows = torch.as_tensor(low, dtype=torch.float64, device="cpu")
        highs = torch.as_tensor(high, dtype=torch.float64, device="cpu")
        self.register_buffer("low", constant(lows))
        self.register_buffer("high", constant(highs))
        if not (lows <= highs).all():
            raise ValueError(f"low must not exceed high, got {list(low)} and {list(high)}")

    def forward(self, u: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:  # noqa: D102
        u = real_event(u, len(self.low))
        return u.clamp(self.low, self.high).to(u.dtype), u.new_zeros(u.shape[:-1])

    def inverse(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:  # noqa: D102
        return self.forward(x)


class Log(Transform):
    r"""The logarithm of some features, uᵢ = log xᵢ; the others are unchanged.

    log |det ∂u/∂x| = −Σᵢ log xᵢ over these features. Where one of them is not positive, the
    density is zero: the log-determinant is −inf, and uᵢ is 0.

    Args:
        columns: the features, counted from 0.

    Raises:
        ValueError: there are none, or a column is negative or repeated.

    Example:
        >>> u, log_det = Log(columns=[1]).inverse(torch.tensor([5.0, 1.0]))
        >>> u, log_det
        (tensor([5., 0.]), tensor(-0.))
    """

    context_features: int = 0
    columns: Tensor

    def __init__(self, columns: Sequence[int]) -> None:
        super().__init__()
        self.register_buffer("columns", _columns(columns))

    def forward(self, u: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:  # noqa: D102
        u = real_event(u)
        logs = u[..., self.columns]
        return u.index_copy(-1, self.columns, logs.exp()), logs.sum(-1)

    def inverse(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:  # noqa: D102
        x = real_event(x)
        values = x[..., self.columns]
        outside = values <= 0
        logs = values.masked_fill(outside, 1.0).log()
        log_det = (-logs.sum(-1)).masked_fill(outside.any(-1), -torch.inf)
        return x.index_copy(-1, self.columns, logs), log_det


class Bounded(Transform):
    r"""Maps some features from between their bounds to the real line; the others are unchanged.

    uᵢ = log (xᵢ − l) − log (h − xᵢ) between two bounds l and h, log (xᵢ − l) above a lower bound
    and −log (h − xᵢ) below an upper bound, so that samples lie strictly between the bounds. On a
    bound and beyond it the density is zero: log |det ∂u/∂x| is −inf, and uᵢ is 0.

    Args:
        columns: the features, counted from 0.
        low: l of each, in data units; None: no lower bound.
        high: h of each, in data units; None: no upper bound.

    Raises:
        ValueError: a column is negative or repeated, or has no bound, or a lower bound is not
            below the upper one.

    Example:
        >>> Bounded(columns=[1], low=[0.0], high=[2.0]).inverse(torch.tensor([5.0, 1.0]))
        (tensor([5., 0.]), tensor(0.6931))
    """

    context_features: int = 0
    columns: Tensor
    low: Tensor
    high: Tensor

    def __init__(
        self,
        columns: Sequence[int],
        low: Sequence[float | None],
        high: Sequence[float | None],
    ) -> None:
        super().__init__()
        lows = [-math.inf if bound is None else float(bound) for bound in low]
        highs = [math.inf if bound is None else float(bound) for bound in high]
        for ends in zip(lows, highs, strict=True):
            if not (ends[0] < ends[1] and any(map(math.isfinite, ends))):
                raise ValueError(f"bounds must rise, and one must be finite, got {list(ends)}")
        self.register_buffer("columns", _columns(columns))
        self.register_buffer("low", constant(torch.tensor(lows, dtype=torch.float64)))
        self.register_buffer("high", constant(torch.tensor(highs, dtype=torch.float64)))

    def forward(self, u: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:  # noqa: D102
        u = real_event(u)
        exact = widened(u[..., self.columns])
        both, above = self._kinds()
        low, high = self.low.masked_fill(~above, 0.0), self.high.masked_fill(~both & above, 0.0)
        share = torch.sigmoid(exact.masked_fill(~both, 0.0))
        distance = torch.where(above, exact, -exact).masked_fill(both, 0.0).exp()
        outward = torch.where(above, low + distance, high - distance)
        x = torch.where(both, torch.lerp(low, high, share), outward).to(u.dtype)
        bottom, top = self.low.to(u.dtype), self.high.to(u.dtype)
        x = torch.where(x <= bottom, torch.nextafter(bottom, top), x)  # rounding may reach it
        x = torch.where((x >= top) & (both | ~above), torch.nextafter(top, bottom), x)
        log_det = -self._log_derivative(exact).sum(-1).to(u.dtype)
        return u.index_copy(-1, self.columns, x), log_det

    def inverse(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:  # noqa: D102
        x = real_event(x)
        exact = widened(x[..., self.columns])
        outside = (exact <= self.low) | (exact >= self.high)
        u = _log_distance(exact - self.low, outside) - _log_distance(self.high - exact, outside)
        log_det = self._log_derivative(u).sum(-1).to(x.dtype)
        u = u.masked_fill(outside, 0.0).to(x.dtype)
        return x.index_copy(-1, self.columns, u), log_det.masked_fill(outside.any(-1), -torch.inf)

    def _log_derivative(self, u: Tensor) -> Tensor:
        """The log-derivative of the noise, as a function of the noise."""
        both, above = self._kinds()
        width = torch.where(both, self.high - self.low, 1.0)
        between = F.softplus(u) + F.softplus(-u) - width.log()
        return torch.where(both, between, torch.where(above, -u, u))

    def _kinds(self) -> tuple[Tensor, Tensor]:
        """Whether a feature has two bounds, and whether it has a lower one."""
        above = self.low.isfinite()
        return above & self.high.isfinite(), above


class Angle(Transform):
    r"""The angles of some periodic features, uᵢ = 2π xᵢ / pᵢ in [−π, π); others are unchanged.

    log |det ∂u/∂x| = Σᵢ log (2π / pᵢ). Values that differ by a period have the same angle;
    `forward` gives the one in [0, pᵢ).

    Args:
        columns: the features, counted from 0.
        periods: p of each, in data units.

    Raises:
        ValueError: a column is negative or repeated, or a period is not positive and finite.

    Example:
        >>> angle = Angle(columns=[0], periods=[24.0])
        >>> u, log_det = angle.inverse(torch.tensor([[18.0], [-6.0], [42.0]]))
        >>> u.flatten(), angle(u)[0].flatten()
        (tensor([-1.5708, -1.5708, -1.5708]), tensor([18., 18., 18.]))
    """

    context_features: int = 0
    columns: Tensor
    periods: Tensor

    def __init__(self, columns: Sequence[int], periods: Sequence[float]) -> None:
        super().__init__()
        if len(periods) != len(columns) or not all(0 < period < math.inf for period in periods):
            raise ValueError(f"expected a positive period for each column, got {list(periods)}")
        self.register_buffer("columns", _columns(columns))
        self.register_buffer("periods", constant(torch.tensor(periods, dtype=torch.float64)))

    def forward(self, u: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:  # noqa: D102
        u = real_event(u)
        turns = torch.remainder(widened(u[..., self.columns]) / (2 * math.pi), 1.0)
        x = (turns * self.periods).to(u.dtype)
        x = torch.where(x < self.periods, x, 0.0)  # rounding may reach the period
        return u.index_copy(-1, self.columns, x), -self._log_det(u)

    def inverse(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:  # noqa: D102
        x = real_event(x)
        turns = torch.remainder(widened(x[..., self.columns]) / self.periods + 0.5, 1.0)
        angles = (2 * math.pi * (turns - 0.5)).to(x.dtype)
        return x.index_copy(-1, self.columns, angles), self._log_det(x)

    def _log_det(self, event: Tensor) -> Tensor:
        log_det = (2 * math.pi / self.periods).log().sum()
        return log_det.to(event.dtype).expand(event.shape[:-1])


def _columns(columns: Sequence[int]) -> Tensor:
    if not columns or min(columns) < 0 or len(set(columns)) < len(columns):
        raise ValueError(f"columns must be numbers from 0, each once, got {list(columns)}")
    return torch.tensor(columns)


def _log_distance(distance: Tensor, outside: Tensor) -> Tensor:
    """The log of a distance to a bound; 0 where there is no bound, or beyond it."""
    return torch.where(distance.isinf() | outside, 1.0, distance).log()
