"""Multivariate linear regression: the baseline of densities given any context."""

import torch
from torch import Tensor

from flowbench.config.limits import AtLeastOne, AtLeastZero
from flowbench.flows.base import StandardNormal
from flowbench.flows.flow import Flow
from flowbench.transforms import Transform, TriangularAffine

__all__ = ["LinearGaussian"]

SMALLEST_SHARE = 1e-7  # of the standard deviation of a feature, for residuals
SMALLEST_EIGENVALUE = 1e-12  # as a share of the largest; below, contexts do not vary


class LinearGaussian(Flow):
    r"""N(A c + b, C) at a context c: a linear regression in closed form (`initialize`).

    A is that of weighted least squares, and C the covariance of the residuals; of directions in
    which the contexts do not vary, A knows nothing (the solution of least norm). `Gaussian`, for
    contexts that are one-hot classes, has a covariance for each class.

    Args:
        features: size of the event.
        context_features: size of the context, 0 for none.

    Raises:
        ValueError: in `initialize`, a feature is a linear function of the context, or the
            covariance of the residuals is singular.

    References:
        Mardia et al. 1979, "Multivariate analysis", chapter 6.

    Example:
        >>> import torch
        >>> flow = LinearGaussian(2, context_features=1)
        >>> c = torch.randn(1000, 1)
        >>> flow.initialize(3 * c + 0.1 * torch.randn(1000, 2), c)
        >>> flow.sample(1000, torch.ones(1)).mean(0).round()
        tensor([3., 3.])
    """

    by_column = True

    def __init__(self, features: AtLeastOne, *, context_features: AtLeastZero = 0) -> None:
        super().__init__(StandardNormal(features), _Regression(features, context_features))


class _Regression(Transform):
    """x = slopesᵀ c + residual, with a Gaussian residual."""

    slopes: Tensor

    def __init__(self, features: int, context_features: int) -> None:
        super().__init__()
        self.context_features = context_features
        self.residual = TriangularAffine(features)
        slopes = torch.zeros(context_features, features, dtype=torch.float64)
        self.register_buffer("slopes", slopes)

    def forward(self, u: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        residual, log_det = self.residual(u.to(self.slopes.dtype))
        x = residual + self._expected(context)
        return x.to(u.dtype), log_det.to(u.dtype).expand(x.shape[:-1])

    def inverse(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        u, log_det = self.residual.inverse(x.to(self.slopes.dtype) - self._expected(context))
        return u.to(x.dtype), log_det.to(x.dtype)

    def _expected(self, context: Tensor | None) -> Tensor:
        """What a context adds, `[..., features]`, or 0."""
        if context is None:
            return self.slopes.new_zeros(self.slopes.shape[1])
        return context.to(self.slopes.dtype) @ self.slopes

    @torch.no_grad()
    def initialize(
        self, x: Tensor, context: Tensor | None = None, weight: Tensor | None = None
    ) -> None:
        if context is not None:
            self.slopes.copy_(_slopes(x.to(self.slopes.dtype), context, weight))
        residual = (x - self._expected(context)).to(x.dtype)
        told = residual.std(0) <= SMALLEST_SHARE * x.std(0)
        if told.any():
            raise ValueError(
                f"feature {int(told.nonzero()[0]) + 1} (from 1) of {x.shape[1]} is a linear "
                "function of the context; leave it out, or train on more rows"
            )
        self.residual.initialize(residual, weight=weight)


def _slopes(x: Tensor, context: Tensor, weight: Tensor | None) -> Tensor:
    """The slopes of least squares, `[contexts, features]`, in the dtype of x."""
    shares = x.new_ones(len(x)) if weight is None else weight.to(x.dtype)
    shares = (shares / shares.sum()).unsqueeze(-1)
    given, wanted = (part - (part * shares).sum(0) for part in (context.to(x.dtype), x))
    scales = (given.square() * shares).sum(0).sqrt()
    scales = torch.where(scales > 0, scales, 1)
    given = given / scales
    squares, products = (given.mT @ (part * shares) for part in (given, wanted))
    slopes = torch.linalg.pinv(squares, rtol=SMALLEST_EIGENVALUE, hermitian=True) @ products
    return slopes / scales.unsqueeze(-1)
