"""The logarithm of spectral magnitudes, as a map with its log-determinant."""

import torch
from torch import Tensor

from flowbench.transforms.base import Transform

__all__ = ["LogMagnitude"]


class LogMagnitude(Transform):
    r"""Positive data on a logarithmic scale: u = log x, with log |det ∂u/∂x| = −Σᵢ uᵢ.

    Args:
        features: how many of the first features are magnitudes, the rest staying as they are;
            None: all.

    Example:
        >>> u, log_det = LogMagnitude(features=1).inverse(torch.tensor([0.5, 7.0]))
        >>> u, log_det
        (tensor([-0.6931,  7.0000]), tensor(0.6931))
    """

    def __init__(self, features: int | None = None) -> None:
        super().__init__()
        self.features = features

    def forward(self, u: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:  # noqa: D102
        logarithms, rest = u[..., : self.features], self._rest(u)
        return torch.cat([logarithms.exp(), rest], -1), logarithms.sum(-1)

    def inverse(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:  # noqa: D102
        logarithms = x[..., : self.features].log()
        return torch.cat([logarithms, self._rest(x)], -1), -logarithms.sum(-1)

    def _rest(self, value: Tensor) -> Tensor:
        return value[..., self.features :] if self.features is not None else value[..., :0]
