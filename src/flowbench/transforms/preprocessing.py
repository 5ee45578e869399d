"""Maps of data to a space that is easier to model; their `inverse` is what acts on data."""

from collections.abc import Sequence

import torch
from torch import Tensor

from flowbench.transforms.base import Transform, constant, real_event

__all__ = ["Clip", "Log"]


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

    context_features = 0
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

    context_features = 0
    columns: Tensor

    def __init__(self, columns: Sequence[int]) -> None:
        super().__init__()
        if not columns or min(columns) < 0 or len(set(columns)) < len(columns):
            raise ValueError(f"columns must be numbers from 0, each once, got {list(columns)}")
        self.register_buffer("columns", torch.tensor(columns))

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
