r"""Mixtures of Gaussians and rows with missing cells (NaN), which are integrated out exactly.

Of a row of which only the cells o are present, N(x; m, C) leaves N(xₒ; mₒ, Cₒₒ).
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from flowbench.flows.base import HALF_LOG, log_normal

__all__ = [
    "Filled",
    "Gaussians",
    "Holed",
    "conditional_of",
    "filled",
    "holed",
    "log_densities",
    "log_marginals",
    "moments_of",
    "spread",
]

ROWS = 1024  # held at once, few enough for the cache of a processor
VALUES = 2**18  # held at once, a row and a matrix of its missing cells for each row


class Gaussians(NamedTuple):
    """K weighted Gaussians: log-weights `[K]`, means `[K, d]`, Cholesky factors `[K, d, d]`."""

    log_weights: Tensor
    means: Tensor
    factors: Tensor


class Holed(NamedTuple):
    """Some rows with as many missing cells each.

    Attributes:
        rows: their places.
        missing: patterns of missing cells, `[patterns, missing cells]`.
        of: the pattern of each row.
    """

    rows: Tensor
    missing: Tensor
    of: Tensor


class Filled(NamedTuple):
    """Such rows under K Gaussians, with missing cells at their expectations.

    Attributes:
        rows: `[K, some rows, d]`.
        covariances: of the missing cells of each pattern given the others,
            `[K, patterns, missing cells, missing cells]`.
        log_scales: ½ log det of these, `[K, patterns]`.
    """

    rows: Tensor
    covariances: Tensor
    log_scales: Tensor


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


def holed(x: Tensor) -> Iterator[Holed]:
    """The rows of `[rows, d]` that have missing cells, as many in each part, in chunks.

    Example:
        >>> [part] = holed(torch.tensor([[1.0, torch.nan], [1.0, 2.0], [3.0, torch.nan]]))
        >>> part.rows, part.missing, part.of
        (tensor([0, 2]), tensor([[1]]), tensor([0, 0]))
    """
    rows = x.isnan().any(-1).nonzero().flatten()
    if not len(rows):
        return
    patterns, of = x[rows].isnan().unique(dim=0, return_inverse=True)
    sizes = patterns.sum(-1)
    for size in sizes.unique().tolist():
        alike = (sizes[of] == size).nonzero().flatten()
        alike = alike[of[alike].argsort(stable=True)]
        for part in alike.split(max(1, min(ROWS, VALUES // (x.shape[1] + size**2)))):
            own, place = of[part].unique(return_inverse=True)
            missing = patterns[own].nonzero()[:, 1].view(-1, size)
            yield Holed(rows[part], missing, place)


def filled(x: Tensor, gaussians: Gaussians, part: Holed) -> Filled:
    r"""Some rows with missing cells m at their expectations given the present ones.

    With the precision P = C⁻¹ these are mₘ − Pₘₘ⁻¹ (P c)ₘ, and their covariance is Pₘₘ⁻¹, where
    c is the row less the mean, 0 where a cell is missing: equations of the size of m.

    Args:
        x: `[rows, d]`.
        gaussians: K of them.
        part: which rows of x.
    """
    own, missing = x[part.rows], part.missing
    precision = torch.cholesky_inverse(gaussians.factors)
    roots = torch.linalg.cholesky(precision[:, missing.unsqueeze(-1), missing.unsqueeze(-2)])
    covariances = torch.cholesky_inverse(roots)
    means = gaussians.means.unsqueeze(1)
    centred = (own - means).masked_fill(own.isnan(), 0.0)
    places = missing[part.of].expand(len(means), -1, -1)
    slope = (centred @ precision).gather(-1, places)
    guess = means.expand_as(centred).gather(-1, places) - _times(covariances[:, part.of], slope)
    log_scales = -roots.diagonal(dim1=-2, dim2=-1).log().sum(-1)
    return Filled(own.expand_as(centred).scatter(-1, places, guess), covariances, log_scales)


def log_marginals(gaussians: Gaussians, part: Holed, fill: Filled) -> Tensor:
    """Log wₖ + log N of the present cells of some rows: `[some rows, K]`.

    That is the density of the filled rows over that of the missing cells at their expectations.
    A row without a present cell has a density of 1.
    """
    at_expectations = -part.missing.shape[1] * HALF_LOG - fill.log_scales[:, part.of]
    return log_densities(fill.rows, gaussians) - at_expectations.mT


def spread(part: Holed, fill: Filled, shares: Tensor) -> Tensor:
    """The sum over some rows of share times the covariance of the missing cells: `[K, d, d]`.

    Args:
        part: the rows.
        fill: these, filled.
        shares: of the rows, `[some rows, K]`.
    """
    each = shares.new_zeros(shares.shape[1], len(part.missing)).index_add_(1, part.of, shares.mT)
    features, missing = fill.rows.shape[-1], part.missing
    places = (missing.unsqueeze(-1) * features + missing.unsqueeze(-2)).flatten()
    found = shares.new_zeros(len(each), features**2)
    found.index_add_(1, places, (each[..., None, None] * fill.covariances).flatten(1))
    return found.view(-1, features, features)


def conditional_of(gaussians: Gaussians, given: Sequence[int], values: Tensor) -> Gaussians:
    """The mixture of the other features where some have given values.

    Args:
        gaussians: of all features.
        given: the features that have values, from 0.
        values: theirs.

    Example:
        >>> root = torch.linalg.cholesky(torch.tensor([[[4.0, 2.0], [2.0, 2.0]]]))
        >>> both = Gaussians(torch.zeros(1), torch.zeros(1, 2), root)
        >>> conditional_of(both, [0], torch.tensor([2.0]))
        Gaussians(log_weights=tensor([0.]), means=tensor([[1.]]), factors=tensor([[[1.]]]))
    """
    others = [one for one in range(gaussians.means.shape[-1]) if one not in given]
    order, count = [*given, *others], len(given)
    covariance = (gaussians.factors @ gaussians.factors.mT)[:, order][:, :, order]
    factors, means = torch.linalg.cholesky(covariance), gaussians.means[:, order]
    inner = factors[:, :count, :count]
    centred = (values - means[:, :count]).unsqueeze(-1)
    u = torch.linalg.solve_triangular(inner, centred, upper=False)
    log_weights = gaussians.log_weights - inner.diagonal(dim1=-2, dim2=-1).log().sum(-1)
    log_weights = log_weights - 0.5 * u.square().sum((-2, -1))
    shifted = means[:, count:] + (factors[:, count:, :count] @ u).squeeze(-1)
    return Gaussians(log_weights.log_softmax(-1), shifted, factors[:, count:, count:].contiguous())


def moments_of(gaussians: Gaussians) -> tuple[Tensor, Tensor]:
    """The mean `[d]` and the covariance `[d, d]` of a mixture."""
    weights = gaussians.log_weights.exp()
    mean = weights @ gaussians.means
    centred = gaussians.means - mean
    within = torch.einsum("k,kij,klj->il", weights, gaussians.factors, gaussians.factors)
    return mean, within + (weights * centred.mT) @ centred


def _times(matrices: Tensor, vectors: Tensor) -> Tensor:
    """A matrix times a vector for each row; faster than `bmm` where these are small."""
    return (matrices * vectors.unsqueeze(-2)).sum(-1)
