"""Base distributions: the source of the noise of a flow."""

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

__all__ = ["Base", "DiagonalNormal", "StandardNormal", "log_normal"]


class Base(nn.Module, ABC):
    """A density that can be evaluated and sampled, optionally given a context.

    If `discrete`, it is a distribution over the values 0 and 1. `context_features` is the size of
    its context: 0 for none, None if unknown.
    """

    features: int
    context_features: int | None = None
    has_rsample: bool = True
    discrete: bool = False

    @abstractmethod
    def log_prob(self, u: Tensor, context: Tensor | None = None) -> Tensor:
        """Log-density in nats of `[..., features]`, with the shape of the batch."""

    @abstractmethod
    def sample(self, shape: torch.Size, context: Tensor | None = None) -> Tensor:
        """Draw `[*shape, features]`; the context broadcasts to `[*shape, context_features]`.

        If `has_rsample`, samples are differentiable in the parameters and the context.
        """

    def from_noise(self, noise: Tensor, context: Tensor | None = None) -> Tensor:
        """Samples as a function of standard normal noise `[..., features]`.

        Raises:
            NotImplementedError: the samples are not such a function.
        """
        raise NotImplementedError(
            f"samples of the base {type(self).__name__} are not a function of one standard normal "
            "number per feature"
        )


class StandardNormal(Base):
    r"""N(0, I): log p(u) = −½ Σᵢ (uᵢ² + log 2π).

    Args:
        features: size of the event.

    Example:
        >>> import torch
        >>> StandardNormal(2).log_prob(torch.zeros(2))
        tensor(-1.8379)
    """

    context_features = 0

    def __init__(self, features: int) -> None:
        super().__init__()
        self.features = features
        # This buffer gives samples the dtype and device of the flow.
        self.anchor: Tensor
        self.register_buffer("anchor", torch.zeros(()), persistent=False)

    def log_prob(self, u: Tensor, context: Tensor | None = None) -> Tensor:  # noqa: D102
        return log_normal(u)

    def sample(self, shape: torch.Size, context: Tensor | None = None) -> Tensor:  # noqa: D102
        return torch.randn(
            *shape, self.features, dtype=self.anchor.dtype, device=self.anchor.device
        )

    def from_noise(self, noise: Tensor, context: Tensor | None = None) -> Tensor:  # noqa: D102
        return noise


class DiagonalNormal(Base):
    r"""Π N(mᵢ, exp(sᵢ)²) with learned means and log-scales, starting at N(0, I).

    Under additive coupling layers it is the scaling layer of NICE.

    Args:
        features: size of the event.

    References:
        Dinh et al. 2014, "NICE" (arXiv:1410.8516), section 3.3.

    Example:
        >>> import torch
        >>> DiagonalNormal(2).log_prob(torch.zeros(2))
        tensor(-1.8379, grad_fn=<SubBackward0>)
    """

    context_features = 0

    def __init__(self, features: int) -> None:
        super().__init__()
        self.features = features
        self.mean = nn.Parameter(torch.zeros(features))
        self.log_scale = nn.Parameter(torch.zeros(features))

    def log_prob(self, u: Tensor, context: Tensor | None = None) -> Tensor:  # noqa: D102
        return log_normal((u - self.mean) * torch.exp(-self.log_scale)) - self.log_scale.sum()

    def sample(self, shape: torch.Size, context: Tensor | None = None) -> Tensor:  # noqa: D102
        return self.from_noise(torch.randn_like(self.mean.expand(*shape, -1)))

    def from_noise(self, noise: Tensor, context: Tensor | None = None) -> Tensor:  # noqa: D102
        return torch.addcmul(self.mean, noise, self.log_scale.exp())


def log_normal(u: Tensor) -> Tensor:
    """The log-density of N(0, I) in nats at `[..., features]`.

    Example:
        >>> log_normal(torch.zeros(3, 2))
        tensor([-1.8379, -1.8379, -1.8379])
    """
    return -0.5 * (u.square().sum(-1) + u.shape[-1] * math.log(2 * math.pi))
