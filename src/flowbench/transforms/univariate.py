r"""Monotone maps of one variable, whose parameters a conditioner computes.

A univariate map says how many parameters it wants per feature (`params`), and maps in both
directions; it returns log |dx/du| or log |du/dx| feature by feature. Parameters of zero are the
identity. Write your own: a module with `params`, `forward` and `inverse`.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

__all__ = ["AffineMap", "UnivariateMap"]


class UnivariateMap(nn.Module, ABC):
    """A monotone map of one variable with `params` parameters."""

    params: int

    @abstractmethod
    def forward(self, u: Tensor, params: Tensor) -> tuple[Tensor, Tensor]:
        """Map noise to data.

        Args:
            u: `[..., features]`.
            params: `[..., features, self.params]`.

        Returns:
            The data and log |dx/du|, both `[..., features]`.
        """

    @abstractmethod
    def inverse(self, x: Tensor, params: Tensor) -> tuple[Tensor, Tensor]:
        """Map data to noise; the same shapes, with log |du/dx|."""


class AffineMap(UnivariateMap):
    r"""x = u · exp(s) + t, with parameters t (shift) and s (log-scale).

    The log-scale is softly bounded, s = b · tanh(s′ / b), so that neither direction overflows.

    Args:
        bound: b, the largest |log-scale|; None leaves it free.

    Raises:
        ValueError: the bound is not positive.

    References:
        Papamakarios et al. 2017 (arXiv:1705.07057), equations 3 and 4.

    Example:
        >>> import torch
        >>> AffineMap()(torch.tensor([2.0]), torch.tensor([[1.0, 0.0]]))
        (tensor([3.]), tensor([0.]))
    """

    params = 2

    def __init__(self, bound: float | None = 7.0) -> None:
        super().__init__()
        if bound is not None and not bound > 0:
            raise ValueError(f"bound={bound}: the largest log-scale must be positive")
        self.bound = bound

    def forward(self, u: Tensor, params: Tensor) -> tuple[Tensor, Tensor]:  # noqa: D102
        shift, log_scale = self._split(params)
        return torch.addcmul(shift, u, log_scale.exp()), log_scale

    def inverse(self, x: Tensor, params: Tensor) -> tuple[Tensor, Tensor]:  # noqa: D102
        shift, log_scale = self._split(params)
        log_scale = -log_scale
        return (x - shift) * log_scale.exp(), log_scale

    def _split(self, params: Tensor) -> tuple[Tensor, Tensor]:
        shift, log_scale = params.unbind(-1)
        if self.bound is not None:
            log_scale = torch.tanh(log_scale / self.bound) * self.bound
        return shift, log_scale
