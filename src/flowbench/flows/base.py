"""Base distributions: the source of the noise of a flow."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn

__all__ = ["Base", "DiagonalNormal", "NormalAndUniform", "StandardNormal", "base_of", "log_normal"]


HALF_LOG = 0.5 * math.log(2 * math.pi)


class Base(nn.Module, ABC):
    """A density that can be evaluated and sampled, optionally given a context.

    If `discrete`, it is a distribution over the values 0 and 1. `context_features` is the size of
    its context: 0 for none, None if unknown; `circular` the features that are angles in radians.
    """

    features: int
    context_features: int | None = None
    has_rsample: bool = True
    discrete: bool = False
    circular: Sequence[int] = ()

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

    def uniforms(self, u: Tensor, context: Tensor | None = None) -> Tensor:
        """Numbers that are independent and uniform on [0, 1] if u is drawn from the density.

        They are the distribution functions of the features, each given those before it
        (Rosenblatt 1952). Where values have probabilities, chance decides within these.

        Args:
            u: `[..., features]`.
            context: what the density depends on, `[..., context_features]`, or None.

        Returns:
            `[..., features]`.

        Raises:
            NotImplementedError: the distribution functions are not known.
        """
        raise NotImplementedError(
            f"the base {type(self).__name__} does not know its distribution functions"
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

    context_features: int = 0

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

    def uniforms(self, u: Tensor, context: Tensor | None = None) -> Tensor:  # noqa: D102
        return torch.special.ndtr(u)


class NormalAndUniform(Base):
    r"""N(0, 1) for each of some features, and uniform on the circle for the others, angles.

    log p(u) = −½ Σᵢ (uᵢ² + log 2π) − Σⱼ log 2π, over the other features i and the angles j.

    Args:
        features: size of the event.
        circular: features that are angles in radians, from 0.

    Example:
        >>> NormalAndUniform(2, circular=[1]).log_prob(torch.tensor([0.0, 3.0]))
        tensor(-2.7568)
    """

    context_features: int = 0

    def __init__(self, features: int, *, circular: Sequence[int]) -> None:
        super().__init__()
        self.features = features
        self.normal: StandardNormal = StandardNormal(features)
        self.circular: tuple[int, ...] = tuple(circular)
        angles = torch.tensor([feature in self.circular for feature in range(features)])
        self.angles: Tensor
        self.register_buffer("angles", angles, persistent=False)

    def log_prob(self, u: Tensor, context: Tensor | None = None) -> Tensor:  # noqa: D102
        return log_normal(u.masked_fill(self.angles, 0.0)) - HALF_LOG * len(self.circular)

    def sample(self, shape: torch.Size, context: Tensor | None = None) -> Tensor:  # noqa: D102
        return self.from_noise(self.normal.sample(shape))

    def from_noise(self, noise: Tensor, context: Tensor | None = None) -> Tensor:  # noqa: D102
        angles = 2 * math.pi * (torch.special.ndtr(noise) - 0.5)
        return torch.where(self.angles, angles, noise)

    def uniforms(self, u: Tensor, context: Tensor | None = None) -> Tensor:  # noqa: D102
        turns = u / (2 * math.pi) + 0.5
        return torch.where(self.angles, turns - turns.floor(), torch.special.ndtr(u))


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

    context_features: int = 0

    def __init__(self, features: int) -> None:
        super().__init__()
        self.features = features
        self.mean: nn.Parameter = nn.Parameter(torch.zeros(features))
        self.log_scale: nn.Parameter = nn.Parameter(torch.zeros(features))

    def log_prob(self, u: Tensor, context: Tensor | None = None) -> Tensor:  # noqa: D102
        return log_normal((u - self.mean) * torch.exp(-self.log_scale)) - self.log_scale.sum()

    def sample(self, shape: torch.Size, context: Tensor | None = None) -> Tensor:  # noqa: D102
        return self.from_noise(torch.randn_like(self.mean.expand(*shape, -1)))

    def from_noise(self, noise: Tensor, context: Tensor | None = None) -> Tensor:  # noqa: D102
        return torch.addcmul(self.mean, noise, self.log_scale.exp())

    def uniforms(self, u: Tensor, context: Tensor | None = None) -> Tensor:  # noqa: D102
        return torch.special.ndtr((u - self.mean) * torch.exp(-self.log_scale))


def base_of(features: int, circular: Sequence[int]) -> Base:
    """N(0, I), or uniform for features that are angles.

    Example:
        >>> type(base_of(2, [])).__name__, type(base_of(2, [0])).__name__
        ('StandardNormal', 'NormalAndUniform')
    """
    return NormalAndUniform(features, circular=circular) if circular else StandardNormal(features)


def log_normal(u: Tensor) -> Tensor:
    """The log-density of N(0, I) in nats at `[..., features]`.

    Example:
        >>> log_normal(torch.zeros(3, 2))
        tensor([-1.8379, -1.8379, -1.8379])
    """
    return -0.5 * (u.square().sum(-1) + u.shape[-1] * math.log(2 * math.pi))
