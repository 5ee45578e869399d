r"""Fixed elementwise maps, the building blocks of preprocessing.

All follow the convention of `flowbench.transforms.base`: forward is noise → data. Those named
after what is done to *data* (`Standardize`, `Logit`) do it in their `inverse`. They compute in
float64, like the constants of the data, and return the dtype of their input (for integers, the
default dtype).
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from flowbench.transforms.base import Transform, constant, real_event, widened

__all__ = ["Affine", "Logit", "Standardize"]


class Affine(Transform):
    r"""x = scale · u + shift, with log |det ∂x/∂u| = Σᵢ log |scaleᵢ|.

    Args:
        shift: one number, or one per feature.
        scale: one number, or one per feature; none may be 0.
        features: size of the event; needed if `shift` and `scale` are single numbers.

    Raises:
        ValueError: a scale is zero or not finite, a shift is not finite, or the size is unknown.

    Example:
        >>> import torch
        >>> Affine(scale=[2.0, 4.0])(torch.ones(2))
        (tensor([2., 4.]), tensor(2.0794))
    """

    context_features: int = 0
    shift: Tensor
    scale: Tensor

    def __init__(
        self,
        shift: float | Sequence[float] | Tensor = 0.0,
        scale: float | Sequence[float] | Tensor = 1.0,
        *,
        features: int | None = None,
    ) -> None:
        super().__init__()
        shifts, scales = torch.broadcast_tensors(
            torch.as_tensor(shift, dtype=torch.float64, device="cpu"),
            torch.as_tensor(scale, dtype=torch.float64, device="cpu"),
        )
        if shifts.ndim == 0:
            if features is None:
                raise ValueError("'features' is needed where shift and scale are single numbers")
            shifts, scales = shifts.expand(features), scales.expand(features)
        if not (shifts.isfinite().all() and scales.isfinite().all() and (scales != 0).all()):
            raise ValueError(
                "shift must be finite and scale finite and not 0, got "
                f"{shifts.tolist()} and {scales.tolist()}"
            )
        self.register_buffer("shift", constant(shifts))
        self.register_buffer("scale", constant(scales))

    def forward(self, u: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:  # noqa: D102
        u = real_event(u, len(self.scale))
        x = (u * self.scale + self.shift).to(u.dtype)
        return x, self._log_det().to(u.dtype).expand(u.shape[:-1])

    def inverse(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:  # noqa: D102
        x = real_event(x, len(self.scale))
        u = ((x - self.shift) / self.scale).to(x.dtype)
        return u, -self._log_det().to(x.dtype).expand(x.shape[:-1])

    def _log_det(self) -> Tensor:
        return self.scale.abs().log().sum()


class Standardize(Affine):
    r"""Standardised data: u = (x − mean) / std, with log |det ∂u/∂x| = −Σᵢ log stdᵢ.

    Args:
        mean: one per feature, in data units.
        std: one per feature, in data units, all positive.

    Raises:
        ValueError: a standard deviation is not positive.

    Example:
        >>> import torch
        >>> u, log_det = Standardize(mean=[10.0], std=[2.0]).inverse(torch.tensor([14.0]))
        >>> u, log_det
        (tensor([2.]), tensor(-0.6931))
    """

    def __init__(self, mean: Sequence[float] | Tensor, std: Sequence[float] | Tensor) -> None:
        std = torch.as_tensor(std, dtype=torch.float64, device="cpu")
        if not (std > 0).all():
            raise ValueError(f"every standard deviation must be positive, got {std.tolist()}")
        super().__init__(shift=mean, scale=std)


class Logit(Transform):
    r"""Maps data in [0, 1] to the real line: u = logit(α + (1 − 2α) x).

    With s = σ(u), the forward map is x = (s − α) / (1 − 2α) and
    log |det ∂x/∂u| = Σᵢ [log s + log(1 − s) − log(1 − 2α)]. Samples fill the interval from
    −α / (1 − 2α) to (1 − α) / (1 − 2α), slightly more than [0, 1]; where rounding puts a sample on
    its edge, u is clamped to what the dtype resolves. Outside, the density is zero:
    log |det ∂u/∂x| = −inf.

    Args:
        alpha: how far the ends are moved inwards, 0 < α < 0.5 (1e-6 for MNIST, 0.05 for CIFAR-10).

    Raises:
        ValueError: alpha is not between 0 and 0.5.

    References:
        Dinh et al. 2017 (arXiv:1605.08803), section 4.1; Papamakarios et al. 2017
        (arXiv:1705.07057), section 4.3 and appendix.

    Example:
        >>> import torch
        >>> u, log_det = Logit(alpha=0.05).inverse(torch.tensor([0.5]))
        >>> u, log_det
        (tensor([0.]), tensor(1.2809))
    """

    context_features: int = 0

    def __init__(self, alpha: float = 1e-6) -> None:
        super().__init__()
        if not 0 < alpha < 0.5:
            raise ValueError(f"alpha must lie between 0 and 0.5, got {alpha}")
        self.alpha = alpha
        self.span: float = 1 - 2 * alpha

    def forward(self, u: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:  # noqa: D102
        u = real_event(u)
        exact = widened(u)
        x = (torch.sigmoid(exact) - self.alpha) / self.span
        return x.to(u.dtype), self._log_derivative(exact).sum(-1).to(u.dtype)

    def inverse(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:  # noqa: D102
        x = real_event(x)
        exact, rounding = widened(x), torch.finfo(x.dtype).eps
        s, rest = self.alpha + self.span * exact, self.alpha + self.span * (1 - exact)
        outside = (torch.minimum(s, rest) < -rounding).any(-1)
        smallest = self.alpha * rounding
        u = s.clamp(min=smallest).log() - rest.clamp(min=smallest).log()
        log_det = -self._log_derivative(u).sum(-1).to(x.dtype)
        return u.to(x.dtype), log_det.masked_fill(outside, -torch.inf)

    def _log_derivative(self, u: Tensor) -> Tensor:
        return -F.softplus(u) - F.softplus(-u) - math.log(self.span)
