r"""Probabilities of the levels of a lattice, whose parameters an autoregressive network computes.

A family is for features with levels 0 … K − 1, where each feature has a K of its own.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flowbench.transforms.univariate import softly_bounded
from flowbench.transforms.weighted_rows import as_counts

__all__ = ["CategoricalLevels", "Levels", "LogisticLevels", "family_of", "log_shares"]

PSEUDO_COUNTS = [2.0**power for power in range(-6, 15)]


class Levels(nn.Module, ABC):
    """Probabilities of the levels of each feature, with `params` parameters.

    Args:
        levels: the number of levels of each feature.
    """

    params: int
    counts: Tensor

    def __init__(self, levels: Sequence[int]) -> None:
        super().__init__()
        counts = torch.tensor(levels, device=torch.get_default_device())
        self.register_buffer("counts", counts, persistent=False)

    @abstractmethod
    def log_prob(self, k: Tensor, params: Tensor) -> Tensor:
        """Log-probabilities in nats.

        Args:
            k: levels, integers `[..., features]`.
            params: `[..., features, self.params]`.

        Returns:
            One per feature, `[..., features]`.
        """

    @abstractmethod
    def sample(self, params: Tensor, feature: int) -> Tensor:
        """Levels of one feature, integers `[rows]`, from its parameters `[rows, self.params]`."""

    @abstractmethod
    def below(self, k: Tensor, params: Tensor) -> Tensor:
        """Probabilities of all levels below those given, with the shapes of `log_prob`."""

    def uniform(self, k: Tensor, params: Tensor) -> Tensor:
        """Numbers that are uniform on [0, 1] if levels are drawn, at random within their shares.

        The shapes are those of `log_prob`.
        """
        share = self.log_prob(k, params).exp()
        return self.below(k, params) + torch.rand_like(share) * share

    @torch.no_grad()
    def initialize(self, k: Tensor, weight: Tensor | None = None) -> None:
        """Start at what the levels of the training rows suggest; for most families, nothing."""
        del k, weight

    @property
    def is_started(self) -> bool:
        """Whether it has been initialised or trained, so that nothing initialises it again."""
        return False


class CategoricalLevels(Levels):
    r"""P(k) ∝ exp(lₖ + bₖ), with parameters lₖ and learned logits b of each feature.

    With `initialize`, b starts at the `log_shares` of the levels in the training rows.

    Args:
        levels: the number of levels K of each feature.

    Example:
        >>> import torch
        >>> CategoricalLevels([2, 4]).log_prob(torch.tensor([1, 3]), torch.zeros(2, 4)).exp()
        tensor([0.5000, 0.2500], grad_fn=<ExpBackward0>)
    """

    def __init__(self, levels: Sequence[int]) -> None:
        super().__init__(levels)
        self.params: int = max(levels)
        self.logits: nn.Parameter = nn.Parameter(torch.zeros(len(levels), self.params))
        self.equal: bool = min(levels) == self.params

    def log_prob(self, k: Tensor, params: Tensor) -> Tensor:  # noqa: D102
        logits = self._allowed(params + self.logits, self.counts)
        terms = F.cross_entropy(logits.flatten(0, -2), k.flatten(), reduction="none")
        return -terms.view(k.shape)

    def sample(self, params: Tensor, feature: int) -> Tensor:  # noqa: D102
        logits = self._allowed(params + self.logits[feature], self.counts[feature])
        return torch.multinomial(logits.softmax(-1), 1).squeeze(-1)

    def below(self, k: Tensor, params: Tensor) -> Tensor:  # noqa: D102
        shares = self._allowed(params + self.logits, self.counts).softmax(-1)
        return (shares.cumsum(-1) - shares).gather(-1, k.unsqueeze(-1)).squeeze(-1)

    @torch.no_grad()
    def initialize(self, k: Tensor, weight: Tensor | None = None) -> None:  # noqa: D102
        if not self.is_started:
            self.logits.copy_(log_shares(k, self.counts, weight))

    @property
    def is_started(self) -> bool:  # noqa: D102
        return bool(self.logits.any())

    def _allowed(self, logits: Tensor, counts: Tensor) -> Tensor:
        if self.equal:
            return logits
        beyond = torch.arange(self.params, device=logits.device) >= counts.unsqueeze(-1)
        return logits.masked_fill(beyond, -torch.inf)


class LogisticLevels(Levels):
    r"""A mixture of logistic distributions, rounded to the levels; the outermost take the tails.

    In the coordinate v = 2 k / (K − 1) − 1, P(k) = Σ_c w_c [σ((v + h − m_c) / s_c) −
    σ((v − h − m_c) / s_c)] with h = 1 / (K − 1), where the lowest level has no lower edge and the
    highest no upper one. The parameters are log w_c (up to a constant), m_c and log s_c, the means
    relative to ones that are spread over [−1, 1].

    Args:
        levels: the number of levels K of each feature.
        components: number of logistic distributions.

    References:
        Salimans et al. 2017, "PixelCNN++" (arXiv:1701.05517), section 2.1.

    Example:
        >>> import torch
        >>> family = LogisticLevels([256], components=5)
        >>> family.log_prob(torch.arange(256)[:, None], torch.zeros(256, 1, 15)).exp().sum()
        tensor(1.)
    """

    means: Tensor

    def __init__(self, levels: Sequence[int], *, components: int) -> None:
        super().__init__(levels)
        self.params: int = 3 * components
        self.components = components
        means = (2 * torch.arange(components) + 1) / components - 1
        self.register_buffer("means", means, persistent=False)

    def log_prob(self, k: Tensor, params: Tensor) -> Tensor:  # noqa: D102
        weights, means, log_scales = self._split(params)
        top = (self.counts - 1).unsqueeze(-1)
        level = k.unsqueeze(-1)
        rate = torch.exp(-log_scales)
        half = rate / top.clamp(min=1)
        centre = (2 * level / top.clamp(min=1) - 1 - means) * rate
        terms = log_mass(centre, half, lowest=level == 0, highest=level == top)
        return torch.logsumexp(weights.log_softmax(-1) + terms, dim=-1)

    def sample(self, params: Tensor, feature: int) -> Tensor:  # noqa: D102
        weights, means, log_scales = self._split(params)
        chosen = torch.multinomial(weights.softmax(-1), 1)
        mean, scale = (part.gather(-1, chosen).squeeze(-1) for part in (means, log_scales.exp()))
        top = self.counts[feature] - 1
        place = mean + scale * torch.logit(torch.rand_like(mean), eps=1e-7)
        return ((place + 1) / 2 * top).round().clamp(torch.zeros_like(top), top).long()

    def below(self, k: Tensor, params: Tensor) -> Tensor:  # noqa: D102
        weights, means, log_scales = self._split(params)
        top = (self.counts - 1).clamp(min=1).unsqueeze(-1)
        edge = (2 * k.unsqueeze(-1) - 1) / top - 1
        each = torch.sigmoid((edge - means) * torch.exp(-log_scales))
        return (weights.softmax(-1) * each).sum(-1).masked_fill(k == 0, 0.0)

    def _split(self, params: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        weights, means, log_scales = params.unflatten(-1, (3, self.components)).unbind(-2)
        start = -math.log(self.components)
        return weights, means + self.means, softly_bounded(log_scales + start)


def log_mass(centred: Tensor, half: Tensor, *, lowest: Tensor, highest: Tensor) -> Tensor:
    r"""The log of σ(v + h) − σ(v − h), the mass of a logistic distribution in an interval.

    Args:
        centred: v, the middles of intervals, centred and scaled by the distribution.
        half: h, half their widths.
        lowest: which intervals have no lower end.
        highest: which have no upper end.

    Example:
        >>> v = torch.tensor([-2.0, 0.0, 2.0])
        >>> ends = {"lowest": v == -2, "highest": v == 2}
        >>> log_mass(v, torch.tensor(1.0), **ends).exp().sum()
        tensor(1.)
    """
    upper, lower = F.logsigmoid(centred + half), F.logsigmoid(half - centred)
    between = upper + lower + torch.log(-torch.expm1(-2 * half))
    mass = torch.where(lowest, upper, torch.where(highest, lower, between))
    return mass.masked_fill(lowest & highest, 0.0)


def family_of(name: str, levels: Sequence[int], *, components: int) -> Levels:
    """The family of a name: "categorical" or "logistic"."""
    if name == "logistic":
        return LogisticLevels(levels, components=components)
    return CategoricalLevels(levels)


def log_shares(k: Tensor, counts: Tensor, weight: Tensor | None = None) -> Tensor:
    r"""Logarithms of the shares of levels, none of which is 0.

    They are (nₖ + a / K) / (n + a), where nₖ of n rows have level k of K. The pseudo-count a, one
    for all features, is that of a grid which makes the rows most likely, each given all others.

    Args:
        k: levels of training rows, integers `[rows, features]`.
        counts: the number K of levels of each feature.
        weight: how much each row counts, `[rows]`; None: all the same.

    Returns:
        `[features, max(counts)]`; 0 for levels that a feature does not have.

    Example:
        >>> k = torch.tensor([[0]] + 9 * [[1]])
        >>> log_shares(k, torch.tensor([2])).exp()
        tensor([[0.1667, 0.8333]], dtype=torch.float64)
    """
    most, each = int(counts.max()), None if weight is None else as_counts(weight)
    found = torch.stack([torch.bincount(column, each, minlength=most) for column in k.mT]).double()
    rows = found[0].sum()
    allowed = torch.arange(most, device=k.device) < counts.unsqueeze(-1)
    prior = allowed / counts.unsqueeze(-1)

    def others(pseudo_count: float) -> float:
        shares = ((found - 1).clamp_min(0) + pseudo_count * prior) / (rows - 1 + pseudo_count)
        return torch.where(found > 0, found * shares.log(), 0.0).sum().item()

    best = max(PSEUDO_COUNTS, key=others)
    shares = (found + best * prior) / (rows + best)
    return torch.where(allowed, shares, 1.0).log()
