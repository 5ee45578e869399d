"""Mixtures of Gaussians fitted to rows by expectation and maximisation."""

from typing import NamedTuple

import torch
from torch import Tensor

from flowbench.flows.base import log_normal

__all__ = ["CHUNK", "Gaussians", "fitted_gaussians", "log_densities"]

TOLERANCE = 1e-5  # nats per row
ROUNDS = 300
STARTS, STARTING_ROUNDS = 4, 10
CLUSTERED_ROWS, CLUSTERING_ROUNDS = 10_000, 5
PRIOR_ROWS = 1.0
CHUNK = 8192


class Gaussians(NamedTuple):
    """K weighted Gaussians: log-weights `[K]`, means `[K, d]`, Cholesky factors `[K, d, d]`."""

    log_weights: Tensor
    means: Tensor
    factors: Tensor


def log_densities(x: Tensor, gaussians: Gaussians) -> Tensor:
    """Log wₖ + log N(x; mₖ, Lₖ Lₖᵀ) of rows `[n, d]`: `[n, K]`.

    Example:
        >>> one = Gaussians(torch.zeros(1), torch.zeros(1, 2), torch.eye(2).unsqueeze(0))
        >>> log_densities(torch.zeros(1, 2), one)
        tensor([[-1.8379]])
    """
    log_weights, means, factors = gaussians
    centred = x - means.unsqueeze(-2)
    u = torch.linalg.solve_triangular(factors.mT, centred, upper=True, left=False)
    constants = log_weights - factors.diagonal(dim1=-2, dim2=-1).log().sum(-1)
    return log_normal(u).mT + constants


def fitted_gaussians(x: Tensor, clustered: Tensor, components: int, *, seed: int) -> Gaussians:
    r"""The mixture that fits whitened rows `[n, d]`, in float64, from the best of a few starts.

    Every component counts one further row at its mean, with the covariance I / K^(2/d). This keeps
    the covariances of components with few rows away from singular ones, which would make the
    likelihood infinite.

    Args:
        x: rows whose covariance is about I.
        clustered: the same rows in other coordinates, in which k-means clusters are the starts.
        components: K.
        seed: of the starts.

    References:
        Fraley & Raftery 2007, "Bayesian regularization for normal mixture estimation and
        model-based clustering", J. Classif. 24, section 3, for the scale of the prior.

    Example:
        >>> x = torch.cat([torch.randn(500, 1) - 5, torch.randn(500, 1) + 5])
        >>> fitted_gaussians(x, x, 2, seed=0).means.flatten().sort().values.round()
        tensor([-5.,  5.], dtype=torch.float64)
    """
    x = x.double()
    generator = torch.Generator().manual_seed(seed)
    scale = components ** (-1 / x.shape[1])
    starts = []
    for _ in range(STARTS if components > 1 else 1):
        shares = _clusters(clustered.double(), components, generator)
        starts.append(_improved(x, _maximised(x, shares, scale), scale, STARTING_ROUNDS))
    best, _ = max(starts, key=lambda start: start[1])
    return _improved(x, best, scale, ROUNDS)[0]


def _improved(
    x: Tensor, gaussians: Gaussians, scale: float, rounds: int
) -> tuple[Gaussians, float]:
    """Gaussians after some rounds, or fewer if nothing is gained, and their objective per row."""
    before = -float("inf")
    objective = before
    for _ in range(rounds):
        terms = torch.cat([log_densities(part, gaussians) for part in x.split(CHUNK)])
        totals = terms.logsumexp(-1, keepdim=True)
        objective = float(totals.mean() + _log_prior(gaussians, scale) / len(x))
        if objective - before < TOLERANCE:
            break
        before = objective
        gaussians = _maximised(x, (terms - totals).exp(), scale)
    return gaussians, objective


def _log_prior(gaussians: Gaussians, scale: float) -> Tensor:
    """The log-likelihood of the further rows, up to a constant."""
    factors = gaussians.factors
    half = torch.linalg.solve_triangular(factors, _units(factors), upper=False) * scale
    log_det = factors.diagonal(dim1=-2, dim2=-1).log().sum()
    return -PRIOR_ROWS * (log_det + 0.5 * half.square().sum())


def _maximised(x: Tensor, shares: Tensor, scale: float) -> Gaussians:
    """The Gaussians of rows that belong to each by a share, `[n, K]`."""
    counts = shares.sum(0)
    means = shares.mT @ x / counts.clamp_min(1e-10).unsqueeze(-1)
    scatter = PRIOR_ROWS * scale**2 * _units(x.new_zeros(len(counts), *x.shape[1:] * 2))
    for part, share in zip(x.split(CHUNK), shares.split(CHUNK), strict=True):
        centred = part - means.unsqueeze(-2)
        scatter.baddbmm_((centred * share.mT.unsqueeze(-1)).mT, centred)
    factors = torch.linalg.cholesky(scatter / (counts + PRIOR_ROWS).view(-1, 1, 1))
    return Gaussians((counts / len(x)).log(), means, factors)


def _units(like: Tensor) -> Tensor:
    """Unit matrices in the shape of a batch of matrices."""
    return torch.eye(like.shape[-1], dtype=like.dtype).repeat(*like.shape[:-2], 1, 1)


def _clusters(x: Tensor, components: int, generator: torch.Generator) -> Tensor:
    """Rows in clusters by k-means from distant rows: `[n, K]` of zeros and ones."""
    few = x[torch.randperm(len(x), generator=generator)[:CLUSTERED_ROWS]]
    centres = few[:1]
    for _ in range(components - 1):
        distances = torch.cdist(few, centres).amin(-1).square()
        chosen = torch.multinomial(distances + 1e-12, 1, generator=generator)
        centres = torch.cat([centres, few[chosen]])
    for _ in range(CLUSTERING_ROUNDS):
        nearest = _nearest(few, centres)
        counts = nearest.sum(0).clamp_min(1).unsqueeze(-1)
        centres = torch.where(nearest.any(0).unsqueeze(-1), nearest.mT @ few / counts, centres)
    return _nearest(x, centres)


def _nearest(x: Tensor, centres: Tensor) -> Tensor:
    places = torch.cat([torch.cdist(part, centres).argmin(-1) for part in x.split(CHUNK)])
    return torch.nn.functional.one_hot(places, len(centres)).to(x.dtype)
