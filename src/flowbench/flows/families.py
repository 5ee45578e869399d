r"""Conditional densities of one variable, whose parameters an autoregressive network computes.

A family states how many parameters it needs per feature (`params`), evaluates log-densities per
feature, and samples. To write your own, subclass with `params`, `log_prob` and `sample`.
"""

import math
from abc import ABC, abstractmethod

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flowbench.config.checked import Checked
from flowbench.config.limits import AtLeastOne, Bins, Positive
from flowbench.flows.quantiles import quantile_start
from flowbench.tracing import holds
from flowbench.transforms import AffineMap, RationalQuadraticMap
from flowbench.transforms.univariate import LOG_SCALE_BOUND, UnivariateMap

__all__ = ["BernoulliFamily", "Family", "GaussianFamily", "MixtureFamily", "SplineFamily"]

SMALLEST_SCALE = 0.01  # at the start of a mixture


class Family(Checked, nn.Module, ABC):
    """Densities of one variable with `params` parameters; if `discrete`, over 0 and 1."""

    params: int
    has_rsample: bool = False
    discrete: bool = False

    @abstractmethod
    def log_prob(self, x: Tensor, params: Tensor) -> Tensor:
        """Log-densities in nats.

        Args:
            x: `[..., features]`.
            params: `[..., features, self.params]`.

        Returns:
            One per feature, `[..., features]`.
        """

    @abstractmethod
    def sample(self, params: Tensor) -> Tensor:
        """Draw `[..., features]`; differentiable in the parameters if `has_rsample`."""

    def uniform(self, x: Tensor, params: Tensor) -> Tensor:
        """Numbers `[..., features]` that are uniform on [0, 1] if x is drawn with the parameters.

        They are its distribution function; within the probability of a value, chance decides.

        Raises:
            NotImplementedError: the distribution function is not known.
        """
        raise NotImplementedError(f"{type(self).__name__} does not know its distribution function")

    def start(self, x: Tensor) -> Tensor:
        """Parameters `[self.params]` near the values `[rows]` of a feature; for most, zeros."""
        return x.new_zeros(self.params)


class _OfMap(Family):
    """The density of a univariate map of N(0, 1)."""

    has_rsample = True
    map: UnivariateMap

    def log_prob(self, x: Tensor, params: Tensor) -> Tensor:
        u, log_derivative = self.map.inverse(x, params)
        return log_derivative - 0.5 * (u.square() + math.log(2 * math.pi))

    def sample(self, params: Tensor) -> Tensor:
        return self.map(torch.randn_like(params[..., 0]), params)[0]

    def uniform(self, x: Tensor, params: Tensor) -> Tensor:
        return torch.special.ndtr(self.map.inverse(x, params)[0])


class GaussianFamily(_OfMap):
    r"""N(t, exp(s)²), with parameters t (mean) and s (log-scale); zeros give N(0, 1).

    This is the density of an `AffineMap` of N(0, 1), with the same soft bound on the log-scale.

    Args:
        log_scale_bound: soft bound on |s|; None leaves it unbounded.

    Raises:
        ValueError: the bound is not positive and finite.

    References:
        Papamakarios et al. 2017 (arXiv:1705.07057), section 3.1.

    Example:
        >>> import torch
        >>> GaussianFamily().log_prob(torch.tensor([1.0]), torch.tensor([[1.0, 0.0]]))
        tensor([-0.9189])
    """

    params = 2

    def __init__(self, log_scale_bound: Positive | None = LOG_SCALE_BOUND) -> None:
        super().__init__()
        self.map: AffineMap = AffineMap(log_scale_bound)

    def from_noise(self, noise: Tensor, params: Tensor) -> Tensor:
        """Samples as a function of standard normal noise `[..., features]`."""
        return self.map(noise, params)[0]


class MixtureFamily(Family):
    r"""Σₖ wₖ N(tₖ + qₖ, exp(sₖ)²), with parameters log wₖ (up to a constant), tₖ and sₖ.

    The means start apart, at the quantiles qₖ = Φ⁻¹((k − ½) / K) of N(0, 1), since identical
    components would get identical gradients. One component is a `GaussianFamily`.

    Args:
        components: K, number of Gaussians.
        log_scale_bound: soft bound on |s|; None leaves it unbounded.

    Raises:
        ValueError: there are no components, or the bound is not positive and finite.

    References:
        Papamakarios et al. 2017 (arXiv:1705.07057), section 4.1 ("MADE MoG"); Bishop 1994,
        "Mixture density networks".

    Example:
        >>> import torch
        >>> family = MixtureFamily(components=10)
        >>> family.log_prob(torch.zeros(5, 3), torch.zeros(5, 3, family.params)).shape
        torch.Size([5, 3])
    """

    quantiles: Tensor

    def __init__(
        self, components: AtLeastOne = 10, log_scale_bound: Positive | None = LOG_SCALE_BOUND
    ) -> None:
        super().__init__()
        self.params: int = 3 * components
        self.gaussian: GaussianFamily = GaussianFamily(log_scale_bound)
        shares = (torch.arange(components, dtype=torch.float64) + 0.5) / components
        quantiles = torch.special.ndtri(shares).to(torch.get_default_dtype())
        self.register_buffer("quantiles", quantiles)

    def log_prob(self, x: Tensor, params: Tensor) -> Tensor:  # noqa: D102
        logits, gaussians = self._split(params)
        terms = self.gaussian.log_prob(x.unsqueeze(-1) - self.quantiles, gaussians)
        return torch.logsumexp(F.log_softmax(logits, dim=-1) + terms, dim=-1)

    def sample(self, params: Tensor) -> Tensor:  # noqa: D102
        logits, gaussians = self._split(params)
        shares = (logits - logits.logsumexp(-1, keepdim=True)).softmax(-1)
        component = torch.multinomial(shares.flatten(0, -2), 1).view(logits.shape[:-1])
        chosen = gaussians.take_along_dim(component[..., None, None], dim=-2).squeeze(-2)
        return self.gaussian.sample(chosen) + self.quantiles[component]

    def uniform(self, x: Tensor, params: Tensor) -> Tensor:  # noqa: D102
        logits, gaussians = self._split(params)
        each = self.gaussian.uniform(x.unsqueeze(-1) - self.quantiles, gaussians)
        return (logits.softmax(-1) * each).sum(-1)

    def start(self, x: Tensor) -> Tensor:  # noqa: D102
        means, log_scales = quantile_start(x, len(self.quantiles), least=SMALLEST_SCALE)
        gaussians = torch.stack([means - self.quantiles, log_scales], -1)
        return torch.cat([torch.zeros_like(self.quantiles).to(gaussians), gaussians.flatten()])

    def _split(self, params: Tensor) -> tuple[Tensor, Tensor]:
        """Logits `[..., K]`, and means and log-scales `[..., K, 2]`."""
        components = len(self.quantiles)
        return params[..., :components], params[..., components:].unflatten(-1, (components, 2))


class SplineFamily(_OfMap):
    r"""The density of g⁻¹(u) for u from N(0, 1) and a monotone spline g; zeros give N(0, 1).

    Args:
        bins: of the spline.
        tail_bound: B: outside of [−B, B] the density is that of N(0, 1).

    References:
        Durkan et al. 2019, "Neural spline flows" (arXiv:1906.04032), section 3.1.

    Example:
        >>> import torch
        >>> SplineFamily(bins=4).log_prob(torch.tensor([1.0]), torch.zeros(1, 11))
        tensor([-1.4189])
    """

    def __init__(self, bins: Bins = 8, *, tail_bound: Positive = 3.0) -> None:
        super().__init__()
        self.map: RationalQuadraticMap = RationalQuadraticMap(bins, bound=tail_bound)
        self.params: int = self.map.params


class BernoulliFamily(Family):
    r"""P(x = 1) = σ(l) with logit l, for features of 0 and 1: log P(x) = x l − log(1 + exp l).

    Raises:
        ValueError: a feature given to `log_prob` is neither 0 nor 1. Where values cannot be read
            (`vmap`, `compile`, `export`), such a row has log-probability −inf.

    References:
        Germain et al. 2015, "MADE" (arXiv:1502.03509), section 2.

    Example:
        >>> import torch
        >>> BernoulliFamily().log_prob(torch.tensor([1.0]), torch.tensor([[0.0]]))
        tensor([-0.6931])
    """

    params = 1
    discrete = True

    def log_prob(self, x: Tensor, params: Tensor) -> Tensor:  # noqa: D102
        binary = (x == 0) | (x == 1)
        if not holds(binary):
            raise ValueError("x has values other than 0 and 1, which a Bernoulli density expects")
        logits = params.squeeze(-1)
        return (x * logits - F.softplus(logits)).masked_fill(~binary, -torch.inf)

    def sample(self, params: Tensor) -> Tensor:  # noqa: D102
        return torch.bernoulli(torch.sigmoid(params.squeeze(-1)))

    def uniform(self, x: Tensor, params: Tensor) -> Tensor:  # noqa: D102
        zero = torch.sigmoid(-params.squeeze(-1))
        chance = torch.rand_like(zero)
        return torch.where(x == 1, zero + chance * (1 - zero), chance * zero)
