"""Activation normalisation: an affine layer initialised from the moments of the data."""

import torch
from torch import Tensor, nn

from flowbench.transforms.base import Transform, real_event
from flowbench.transforms.normalization import moments

__all__ = ["ActNorm"]

ROUNDING = 1e-6


class ActNorm(Transform):
    r"""x = u · exp(s) + t with one parameter s and t per feature, and log |det ∂x/∂u| = Σᵢ sᵢ.

    `initialize` sets them so that the noise of the given rows has mean 0 and variance 1; training
    continues from there. It acts only once, while s and t are still zero. A feature that is
    constant up to rounding keeps s = 0.

    Args:
        features: size of the event.

    References:
        Kingma & Dhariwal 2018, "Glow" (arXiv:1807.03039), section 3.1.

    Example:
        >>> import torch
        >>> layer = ActNorm(1)
        >>> layer.initialize(torch.tensor([[1.0], [3.0]]))
        >>> layer.inverse(torch.tensor([[1.0], [3.0]]))[0].flatten().tolist()
        [-1.0, 1.0]
    """

    context_features: int = 0

    def __init__(self, features: int) -> None:
        super().__init__()
        self.shift: nn.Parameter = nn.Parameter(torch.zeros(features))
        self.log_scale: nn.Parameter = nn.Parameter(torch.zeros(features))

    def forward(self, u: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:  # noqa: D102
        u = real_event(u, len(self.shift))
        x = torch.addcmul(self.shift, u, self.log_scale.exp())
        return x, self.log_scale.sum().expand(u.shape[:-1])

    def inverse(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:  # noqa: D102
        x = real_event(x, len(self.shift))
        u = (x - self.shift) * torch.exp(-self.log_scale)
        return u, -self.log_scale.sum().expand(x.shape[:-1])

    @torch.no_grad()
    def initialize(
        self,
        x: Tensor,
        context: Tensor | None = None,
        weight: Tensor | None = None,
        chunk: int = 65536,
    ) -> None:
        """Standardise the rows `[rows, features]`; the moments are summed in float64."""
        if self.shift.any() or self.log_scale.any():
            return
        mean, variance = moments(x.split(chunk), None if weight is None else weight.split(chunk))
        deviation = variance.sqrt()
        varies = deviation > ROUNDING * mean.abs()
        self.shift.copy_(mean)
        self.log_scale.copy_(torch.where(varies, deviation, 1.0).log())
