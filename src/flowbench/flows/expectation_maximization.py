"""Gaussians and mixtures of Gaussians fitted to rows by expectation and maximisation."""

from typing import NamedTuple

import torch
from torch import Tensor

from flowbench.flows.missing_cells import (
    Filled,
    Gaussians,
    Holed,
    filled,
    holed,
    log_densities,
    log_marginals,
    spread,
)

__all__ = ["Sample", "fitted_gaussians", "moments_of_present", "order_of"]

TOLERANCE = 1e-5  # nats per row
ROUNDS = 300
STARTS, STARTING_ROUNDS = 4, 10
CLUSTERED_ROWS, CLUSTERING_ROUNDS = 10_000, 5
PRIOR_ROWS = 1.0
CHUNK = 1024  # few enough for the cache of a processor
EXACT, MANY_ROUNDS = 1e-13, 2000  # of a single Gaussian
ALL = slice(None)
OFFSET = 0.3819660112501051  # irrational, so that no rounding decides which row is chosen


class Sample(NamedTuple):
    """Rows in float64, and how much each counts.

    Attributes:
        x: `[rows, d]`, NaN where a cell is missing.
        share: of each row, `[rows]`; they sum to 1.
        whole: the places of rows without missing cells.
        parts: the rows with missing cells.
    """

    x: Tensor
    share: Tensor
    whole: Tensor | slice
    parts: list[Holed]

    @classmethod
    def of(cls, x: Tensor, weight: Tensor | None) -> "Sample":
        """Rows and their weights; None: all the same."""
        x = x.double()
        share = torch.ones(len(x)).to(x) if weight is None else weight.to(x)
        parts = list(holed(x))
        whole = (~x.isnan().any(-1)).nonzero().flatten() if parts else ALL
        return cls(x, share / share.sum(), whole, parts)

    def filled(self, gaussians: Gaussians) -> list[Filled]:
        """The rows with missing cells, filled."""
        return [filled(self.x, gaussians, part) for part in self.parts]


def moments_of_present(x: Tensor, weight: Tensor | None) -> tuple[Tensor, Tensor]:
    """The mean and covariance that make the present cells of rows most likely, in float64.

    Args:
        x: `[rows, d]`, NaN where a cell is missing.
        weight: how much each row counts, `[rows]`; None: all the same.

    Example:
        >>> x = torch.tensor([[0.0, 0.0], [2.0, 3.0], [4.0, 3.0], [10.0, torch.nan]])
        >>> mean, _ = moments_of_present(x, None)  # 0.5 + 0.75 · x₁ in the first three rows
        >>> mean
        tensor([4.0000, 3.5000], dtype=torch.float64)
    """
    sample = Sample.of(x, weight)
    present = sample.share.unsqueeze(-1) * ~sample.x.isnan()
    known, counts = sample.x.nan_to_num(nan=0.0), present.sum(0).clamp_min(1e-300)
    mean = (present * known).sum(0) / counts
    variance = (present * (known - mean).square()).sum(0) / counts
    scale = variance.sqrt()
    scaled = sample._replace(x=(sample.x - mean) / torch.where(scale > 0, scale, 1.0))
    own = Gaussians(torch.zeros(1).to(mean), torch.zeros_like(mean)[None], _units(1, scaled.x))
    before = -float("inf")
    for _ in range(MANY_ROUNDS if (variance > 0).all() else 0):
        fills = scaled.filled(own)
        objective = float(sample.share @ _terms(scaled, own, fills).squeeze(-1))
        if objective - before < EXACT * max(1.0, abs(objective)):
            break
        before = objective
        means, scatter = _expected(scaled, scaled.share.unsqueeze(-1), fills)
        factors, failed = torch.linalg.cholesky_ex(scatter)
        if failed.any():
            return mean + scale * means[0], scatter[0] * torch.outer(scale, scale)
        own = own._replace(means=means, factors=factors)
    covariance = own.factors[0] @ own.factors[0].mT * torch.outer(scale, scale)
    return mean + scale * own.means[0], covariance


def fitted_gaussians(
    sample: Sample, components: int, *, root: Tensor, order: Tensor, seed: int
) -> Gaussians:
    r"""The mixture that fits rows, in float64, from the best of a few starts.

    Every component counts one further row at its mean, with the covariance of all rows over
    K^(2/d). This keeps the covariances of components with few rows away from singular ones, which
    would make the likelihood infinite. Rows that are the same count as one row of their weight, so
    that it makes no difference how often a row comes and how much it counts each time.

    Args:
        sample: the rows, each feature of mean 0 and variance 1; k-means clusters are the starts.
        components: K.
        root: the Cholesky factor of the covariance of all rows.
        order: a number for each row, the same for rows that are the same and only for them.
        seed: of the starts.

    References:
        Fraley & Raftery 2007, "Bayesian regularization for normal mixture estimation and
        model-based clustering", J. Classif. 24, section 3, for the scale of the prior.

    Example:
        >>> x = torch.cat([torch.randn(500, 1) - 5, torch.randn(500, 1) + 5])
        >>> sample = Sample.of((x - x.mean()) / x.std(), None)
        >>> root = torch.ones(1, 1, dtype=torch.float64)
        >>> found = fitted_gaussians(sample, 2, root=root, order=x[:, 0], seed=0)
        >>> found.means.flatten().sort().values.round()
        tensor([-1.,  1.], dtype=torch.float64)
    """
    generator = torch.Generator().manual_seed(seed)
    different = 1 + int((order.sort().values.diff() != 0).sum())
    scale = components ** (-1 / sample.x.shape[1])
    prior = _Prior(PRIOR_ROWS / different, root * scale)
    whole = _filled_at_once(sample, root)
    few = whole.x[_spread(sample.share, order)]
    starts = []
    for _ in range(STARTS if components > 1 else 1):
        nearest = _nearest(whole.x, _centres(few, components, generator))
        first = _maximised(whole, sample.share.unsqueeze(-1) * nearest, [], prior)
        starts.append(_improved(sample, first, prior, STARTING_ROUNDS))
    best, _ = max(starts, key=lambda start: start[1])
    return _improved(sample, best, prior, ROUNDS)[0]


class _Prior(NamedTuple):
    """What each component counts besides its rows: a share of all, and a Cholesky factor."""

    share: float
    factor: Tensor

    def log(self, gaussians: Gaussians) -> Tensor:
        """Their log-likelihood, up to a constant."""
        factors = gaussians.factors
        half = torch.linalg.solve_triangular(factors, self.factor.expand_as(factors), upper=False)
        log_det = factors.diagonal(dim1=-2, dim2=-1).log().sum()
        return -self.share * (log_det + 0.5 * half.square().sum())


def _improved(
    sample: Sample, gaussians: Gaussians, prior: _Prior, rounds: int
) -> tuple[Gaussians, float]:
    """Gaussians after some rounds, or fewer if nothing is gained, and their objective per row."""
    before = -float("inf")
    objective = before
    for _ in range(rounds):
        fills = sample.filled(gaussians)
        terms = _terms(sample, gaussians, fills)
        totals = terms.logsumexp(-1, keepdim=True)
        objective = float(sample.share @ totals.squeeze(-1) + prior.log(gaussians))
        if objective - before < TOLERANCE:
            break
        before = objective
        shares = sample.share.unsqueeze(-1) * (terms - totals).exp()
        gaussians = _maximised(sample, shares, fills, prior)
    return gaussians, objective


def _terms(sample: Sample, gaussians: Gaussians, fills: list[Filled]) -> Tensor:
    """Log wₖ + log N of the present cells of all rows: `[rows, K]`."""
    chunks = sample.x[sample.whole].split(CHUNK)
    whole = torch.cat([log_densities(part, gaussians) for part in chunks])
    terms = whole.new_empty(len(sample.x), whole.shape[1])
    terms[sample.whole] = whole
    for part, fill in zip(sample.parts, fills, strict=True):
        terms[part.rows] = log_marginals(gaussians, part, fill)
    return terms


def _maximised(sample: Sample, shares: Tensor, fills: list[Filled], prior: _Prior) -> Gaussians:
    """The Gaussians of rows that belong to each by a share, `[rows, K]`."""
    means, scatter = _expected(sample, shares, fills)
    counts = shares.sum(0)
    scatter = scatter + prior.share * (prior.factor @ prior.factor.mT)
    factors = torch.linalg.cholesky(scatter / (counts + prior.share).view(-1, 1, 1))
    return Gaussians(counts.clamp_min(1e-300).log(), means, factors)


def _expected(sample: Sample, shares: Tensor, fills: list[Filled]) -> tuple[Tensor, Tensor]:
    """Expected means and scatter matrices, given the rows with missing cells filled."""
    counts, x, whole = (
        shares.sum(0).clamp_min(1e-300),
        sample.x[sample.whole],
        shares[sample.whole],
    )
    found = [
        (part, fill, shares[part.rows]) for part, fill in zip(sample.parts, fills, strict=True)
    ]
    sums = whole.mT @ x
    for _, fill, own in found:
        sums = sums + torch.einsum("nk,knd->kd", own, fill.rows)
    means = sums / counts.unsqueeze(-1)
    scatter = x.new_zeros(len(counts), *x.shape[1:] * 2)
    for rows, share in zip(x.split(CHUNK), whole.split(CHUNK), strict=True):
        centred = rows - means.unsqueeze(-2)
        scatter.baddbmm_((centred * share.mT.unsqueeze(-1)).mT, centred)
    for part, fill, own in found:
        centred = fill.rows - means.unsqueeze(-2)
        scatter.baddbmm_((centred * own.mT.unsqueeze(-1)).mT, centred)
        scatter += spread(part, fill, own)
    return means, scatter


def _filled_at_once(sample: Sample, root: Tensor) -> Sample:
    """The rows as clusters start from, missing cells at their expectations under one Gaussian."""
    one = Gaussians(root.new_zeros(1), root.new_zeros(1, len(root)), root[None])
    whole = sample.x.clone()
    for part in sample.parts:
        whole[part.rows] = filled(sample.x, one, part).rows[0]
    return sample._replace(x=whole, whole=ALL, parts=[])


def _units(count: int, like: Tensor) -> Tensor:
    """Unit matrices for rows `[n, d]`."""
    return torch.eye(like.shape[-1], dtype=like.dtype, device=like.device).repeat(count, 1, 1)


def order_of(x: Tensor) -> Tensor:
    """A number for each row of `[rows, d]`, the same for rows that are the same.

    Example:
        >>> numbers = order_of(torch.tensor([[1.0, torch.nan], [2.0, 5.0], [1.0, torch.nan]]))
        >>> numbers[0] == numbers[2], numbers[0] == numbers[1]
        (tensor(True), tensor(False))
    """
    generator = torch.Generator().manual_seed(0)
    numbers = torch.zeros(len(x), dtype=torch.float64, device=x.device)
    for column in x.mT:  # one after the other, so that rounding is the same in all rows
        factor, missing = torch.randn(2, generator=generator, dtype=torch.float64).tolist()
        numbers += column.double().nan_to_num(nan=missing) * factor
    return numbers


def _spread(share: Tensor, order: Tensor) -> Tensor:
    """Places of 10,000 rows at equal distances in their order, so that shares tell how often."""
    sorted_ = order.argsort()
    ends = share[sorted_].cumsum(0)
    places = (torch.arange(CLUSTERED_ROWS).to(ends) + OFFSET) / CLUSTERED_ROWS
    return sorted_[torch.searchsorted(ends, places).clamp_max(len(order) - 1)]


def _centres(few: Tensor, components: int, generator: torch.Generator) -> Tensor:
    """The centres of clusters, by k-means from distant rows: `[K, d]`."""
    first = torch.randint(len(few), (1,), generator=generator)
    centres = few[first]
    for _ in range(components - 1):
        distances = torch.cdist(few, centres).amin(-1).square()
        chosen = torch.multinomial(distances + 1e-12, 1, generator=generator)
        centres = torch.cat([centres, few[chosen]])
    for _ in range(CLUSTERING_ROUNDS):
        nearest = _nearest(few, centres)
        counts = nearest.sum(0).clamp_min(1).unsqueeze(-1)
        centres = torch.where(nearest.any(0).unsqueeze(-1), nearest.mT @ few / counts, centres)
    return centres


def _nearest(x: Tensor, centres: Tensor) -> Tensor:
    places = torch.cat([torch.cdist(part, centres).argmin(-1) for part in x.split(CHUNK)])
    return torch.nn.functional.one_hot(places, len(centres)).to(x.dtype)
