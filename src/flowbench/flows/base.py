"""Base distributions: where the noise of a flow comes from."""

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

__all__ = ["Base", "StandardNormal"]


class Base(nn.Module, ABC):
    """A density that can be evaluated and sampled, maybe given a context."""

    features: int

    @abstractmethod
    def log_prob(self, u: Tensor, context: Tensor | None = None) -> Tensor:
        """Log-density in nats of `[..., features]`, with the shape of the batch."""

    @abstractmethod
    def sample(self, shape: torch.Size, context: Tensor | None = None) -> Tensor:
        """Draw `[*shape, features]`; the context broadcasts to `[*shape, context_features]`."""


class StandardNormal(Base):
    r"""N(0, I): log p(u) = −½ Σᵢ (uᵢ² + log 2π).

    Args:
        features: size of the event.

    Example:
        >>> import torch
        >>> StandardNormal(2).log_prob(torch.zeros(2))
        tensor(-1.8379)
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.features = features
        # Samples follow the dtype and device of the flow by this buffer.
        self.anchor: Tensor
        self.register_buffer("anchor", torch.zeros(()), persistent=False)

    def log_prob(self, u: Tensor, context: Tensor | None = None) -> Tensor:  # noqa: D102
        return -0.5 * (u.square().sum(-1) + self.features * math.log(2 * math.pi))

    def sample(self, shape: torch.Size, context: Tensor | None = None) -> Tensor:  # noqa: D102
        return torch.randn(
            *shape, self.features, dtype=self.anchor.dtype, device=self.anchor.device
        )
