"""Mixtures of logistic distributions rounded to levels, beside the most frequent levels."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flowbench.flows.levels import Levels, log_mass
from flowbench.flows.quantiles import quantile_start
from flowbench.transforms.univariate import softly_bounded

__all__ = ["InflatedLevels"]

FREQUENT = 64  # levels with a probability of their own, at most
NEIGHBOURS = 8  # levels that a level is compared with
SLIGHT = 1e-3  # the smallest initial share of all others


class InflatedLevels(Levels):
    r"""P(k) = Σⱼ πⱼ [k = fⱼ] + Σ_c w_c P_c(k), for many ordered levels.

    The fⱼ are levels more frequent in the training rows than those near them, such as zeros, and
    P_c is a logistic distribution rounded to the levels, the outermost of which take its tails.
    The parameters are log π and log w (up to a constant), the means and log-scales of the
    logistic distributions, and a shift and a log-scale by which all of them are moved together.
    They start at the quantiles of the training rows.

    Args:
        levels: the number of levels of each feature.
        components: number of logistic distributions.

    References:
        Salimans et al. 2017, "PixelCNN++" (arXiv:1701.05517), section 2.1.

    Example:
        >>> import torch
        >>> family = InflatedLevels([500], components=3)
        >>> k = torch.arange(500)[:, None]
        >>> family.log_prob(k, torch.zeros(500, 1, family.params)).exp().sum().round(decimals=4)
        tensor(1., grad_fn=<RoundBackward1>)
    """

    frequent: Tensor
    centre: Tensor
    spread: Tensor

    def __init__(self, levels: Sequence[int], *, components: int) -> None:
        super().__init__(levels)
        self.components = components
        self.params: int = FREQUENT + 3 * components + 2
        counts = self.counts.to(torch.get_default_dtype())
        none = self.counts.new_full((len(levels), FREQUENT), -1)
        self.register_buffer("frequent", none)
        self.register_buffer("centre", (counts - 1) / 2)
        self.register_buffer("spread", counts / 4)
        start = torch.zeros(len(levels), self.params)
        start[:, -2 * components - 2 : -components - 2] = torch.linspace(-1.5, 1.5, components)
        self.start: nn.Parameter = nn.Parameter(start)

    def log_prob(self, k: Tensor, params: Tensor) -> Tensor:  # noqa: D102
        weights, means, log_scales = self._split(params + self.start, self.frequent)
        level, spread = k.unsqueeze(-1), self.spread.unsqueeze(-1)
        rate = torch.exp(-log_scales)
        centred = ((level - self.centre.unsqueeze(-1)) / spread - means) * rate
        top = (self.counts - 1).unsqueeze(-1)
        smooth = log_mass(centred, rate / (2 * spread), lowest=level == 0, highest=level == top)
        points = torch.where(level == self.frequent, 0.0, -torch.inf).to(smooth)
        return torch.logsumexp(weights + torch.cat([points, smooth], -1), dim=-1)

    def sample(self, params: Tensor, feature: int) -> Tensor:  # noqa: D102
        frequent = self.frequent[feature]
        weights, means, log_scales = self._split(params + self.start[feature], frequent)
        chosen = torch.multinomial(weights.exp(), 1)
        component = (chosen - FREQUENT).clamp(min=0)
        mean = means.gather(-1, component)
        noise = torch.logit(torch.rand_like(mean), eps=1e-7)
        place = mean + log_scales.gather(-1, component).exp() * noise
        top = self.counts[feature] - 1
        smooth = (place * self.spread[feature] + self.centre[feature]).round()
        k = smooth.clamp(torch.zeros_like(top), top).long()
        point = frequent.expand(*chosen.shape[:-1], -1).gather(-1, chosen.clamp(max=FREQUENT - 1))
        return torch.where(chosen < FREQUENT, point, k).squeeze(-1)

    def below(self, k: Tensor, params: Tensor) -> Tensor:  # noqa: D102
        weights, means, log_scales = self._split(params + self.start, self.frequent)
        level, spread = k.unsqueeze(-1), self.spread.unsqueeze(-1)
        edge = (level - 0.5 - self.centre.unsqueeze(-1)) / spread
        smooth = torch.sigmoid((edge - means) * torch.exp(-log_scales)).masked_fill(level == 0, 0)
        points = (self.frequent < level).to(smooth)
        return (weights.exp() * torch.cat([points, smooth], -1)).sum(-1)

    @torch.no_grad()
    def initialize(self, k: Tensor, weight: Tensor | None = None) -> None:  # noqa: D102
        if self.is_started:
            return
        for feature, column in enumerate(k.mT):
            values = column.double()
            self.centre[feature] = values.mean()
            self.spread[feature] = values.std(unbiased=False).clamp(min=0.1)
            levels, shares = frequent_levels(column)
            self.frequent[feature] = F.pad(levels, (0, FREQUENT - len(levels)), value=-1)
            rest = values[~torch.isin(column, levels)]
            z = ((rest if len(rest) else values) - self.centre[feature]) / self.spread[feature]
            means, scales = quantile_start(z, self.components, least=0.3 / self.spread[feature])
            points = F.pad(shares.log(), (0, FREQUENT - len(levels)))
            weight = (1 - shares.sum()).clamp(min=SLIGHT) / self.components
            weights = weight.log().expand(self.components)
            start = torch.cat([points, weights, means, scales, means.new_zeros(2)])
            self.start[feature] = start.to(self.start)

    @property
    def is_started(self) -> bool:  # noqa: D102
        return bool(self.start[:, : FREQUENT + self.components].any())

    def _split(self, params: Tensor, frequent: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Log-weights, of which levels that a feature lacks have none; means; log-scales."""
        sizes = [FREQUENT, self.components, self.components, self.components, 1, 1]
        points, components, means, log_scales, shift, stretch = params.split(sizes, dim=-1)
        points = points.masked_fill(frequent < 0, -torch.inf)
        weights = torch.cat([points, components], -1).log_softmax(-1)
        stretch, log_scales = softly_bounded(stretch), softly_bounded(log_scales)
        return weights, shift + means * stretch.exp(), log_scales + stretch


def frequent_levels(column: Tensor) -> tuple[Tensor, Tensor]:
    """The levels that clearly more rows have than levels near them, and the shares beyond these.

    Args:
        column: levels of training rows, integers `[rows]`.

    Example:
        >>> levels, shares = frequent_levels(torch.cat([torch.arange(50), torch.zeros(50).int()]))
        >>> levels, shares.round(decimals=1)
        (tensor([0]), tensor([0.5000], dtype=torch.float64))
    """
    found, counts = column.unique(return_counts=True)
    most = counts.argsort(descending=True, stable=True)[:FREQUENT]
    near = (found.unsqueeze(0) - found[most].unsqueeze(-1)).abs()
    width = near.sort(-1).values[:, min(NEIGHBOURS, len(found) - 1)].clamp(min=1).unsqueeze(-1)
    beside = torch.where((near > 0) & (near <= width), counts, 0).sum(-1)
    usual = beside / (2.0 * width.squeeze(-1))
    excess = counts[most] - usual
    clear = excess > 3 * (usual + 1).sqrt()
    return found[most[clear]], (excess[clear] / len(column)).double()
