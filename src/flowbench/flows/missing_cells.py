r"""Mixtures of Gaussians and rows with missing cells (NaN), which are integrated out exactly.

Of a row of which only the cells o are present, N(x; m, C) leaves N(xₒ; mₒ, Cₒₒ).
"""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

__all__ = [
    "Gaussians",
    "Holed",
    "conditional_of",
    "expected",
    "holed",
    "log_marginals",
    "moments_of",
]

VALUES = 2**18  # held at once, a matrix for each row
HALF_LOG = 0.5 * math.log(2 * math.pi)


class Gaussians(NamedTuple):
    """K weighted Gaussians: log-weights `[K]`, means `[K, d]`, Cholesky factors `[K, d, d]`."""

    log_weights: Tensor
    means: Tensor
    factors: Tensor


class Holed(NamedTuple):
    """Some rows with missing cells.

    Attributes:
        rows: their places.
        present: patterns of present cells, `[patterns, d]`.
        of: the pattern of each row.
    """

    rows: Tensor
    present: Tensor
    of: Tensor


def holed(x: Tensor) -> Iterator[Holed]:
    """The rows of `[rows, d]` that have missing cells, those of a pattern together, in chunks.

    Example:
        >>> [part] = holed(torch.tensor([[1.0, torch.nan], [1.0, 2.0], [3.0, torch.nan]]))
        >>> part.rows, part.present, part.of
        (tensor([0, 2]), tensor([[ True, False]]), tensor([0, 0]))
    """
    rows = x.isnan().any(-1).nonzero().flatten()
    if not len(rows):
        return
    present, of = (~x[rows].isnan()).unique(dim=0, return_inverse=True)
    for part in of.argsort(stable=True).split(max(1, VALUES // x.shape[1] ** 2)):
        own, place = of[part].unique(return_inverse=True)
        yield Holed(rows[part], present[own], place)


def log_marginals(x: Tensor, gaussians: Gaussians, part: Holed) -> Tensor:
    """Log wₖ + log N of the present cells of some rows of `[rows, d]`: `[some rows, K]`.

    A row without a present cell has a density of 1.
    """
    here = part.present[part.of]
    root = _inverse_root(gaussians.factors, part.present)
    u = _times(root[:, part.of], _centred(x, gaussians, part))
    constants = root.diagonal(dim1=-2, dim2=-1).log().sum(-1)[:, part.of]
    constants = constants - HALF_LOG * here.sum(-1).to(u.dtype)
    return (constants - 0.5 * u.square().sum(-1)).mT + gaussians.log_weights


def expected(
    x: Tensor, gaussians: Gaussians, shares: Tensor, part: Holed
) -> tuple[Tensor, Tensor]:
    """Some rows with missing cells at their expectations given the present ones.

    Args:
        x: `[rows, d]`.
        gaussians: K of them.
        shares: of the rows, `[rows, K]`.
        part: which rows of x.

    Returns:
        The rows under each Gaussian, `[K, some rows, d]`, and the sum over them of share times the
        covariance of the missing cells given the present ones, `[K, d, d]`.
    """
    covariances = gaussians.factors @ gaussians.factors.mT
    root = _inverse_root(gaussians.factors, part.present)
    inner = (root.mT @ root) * _both(part.present)
    slopes = covariances.unsqueeze(1) @ inner
    guess = gaussians.means.unsqueeze(1) + _times(slopes[:, part.of], _centred(x, gaussians, part))
    rows = torch.where(part.present[part.of], x[part.rows], guess)
    own = shares[part.rows].mT
    each = own.new_zeros(len(own), len(part.present)).index_add_(1, part.of, own)
    precision = (each[..., None, None] * inner).sum(1)
    total = each.sum(1)[:, None, None]
    return rows, total * covariances - covariances @ precision @ covariances


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


def _both(present: Tensor) -> Tensor:
    return present.unsqueeze(-1) & present.unsqueeze(-2)


def _centred(x: Tensor, gaussians: Gaussians, part: Holed) -> Tensor:
    """Some rows less each mean, 0 where a cell is missing: `[K, some rows, d]`."""
    centred = x[part.rows] - gaussians.means.unsqueeze(1)
    return torch.where(part.present[part.of], centred, 0.0)


def _inverse_root(factors: Tensor, present: Tensor) -> Tensor:
    """Inverse Cholesky factors of the present part of each pattern: `[K, patterns, d, d]`."""
    missing = torch.diag_embed((~present).to(factors.dtype))
    covariances = (factors @ factors.mT).unsqueeze(1)
    roots = torch.linalg.cholesky(covariances * _both(present) + missing)
    units = torch.eye(factors.shape[-1], dtype=factors.dtype, device=factors.device)
    return torch.linalg.solve_triangular(roots, units.expand_as(roots), upper=False)
