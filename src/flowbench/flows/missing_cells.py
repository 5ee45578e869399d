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
    "filled",
    "holed",
    "log_marginals",
    "moments_of",
]

VALUES = 2**21  # held at once, a matrix for each row
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
    terms = []
    for log_weight, mean, factor in zip(*gaussians, strict=True):
        root = _inverse_root(factor, part.present)
        centred = torch.where(here, x[part.rows] - mean, 0.0)
        u = _times(root[part.of], centred)
        constant = root.diagonal(dim1=-2, dim2=-1).log().sum(-1)[part.of]
        terms.append(
            log_weight + constant - 0.5 * u.square().sum(-1) - HALF_LOG * here.sum(-1).to(u.dtype)
        )
    return torch.stack(terms, -1)


def filled(
    x: Tensor, mean: Tensor, factor: Tensor, share: Tensor, parts: Sequence[Holed]
) -> tuple[Tensor, Tensor]:
    """Rows with missing cells at their expectations given the present ones, and what these lack.

    Args:
        x: `[rows, d]`.
        mean: of the Gaussian, `[d]`.
        factor: its Cholesky factor.
        share: of each row, `[rows]`.
        parts: of x, as `holed` gives them.

    Returns:
        The rows, and the sum over rows of share times the covariance of the missing cells given
        the present ones, `[d, d]`.
    """
    covariance = factor @ factor.mT
    whole, precision, total = x.clone(), torch.zeros_like(covariance), x.new_zeros(())
    for part in parts:
        here = part.present[part.of]
        root = _inverse_root(factor, part.present)
        inner = (root.mT @ root) * _both(part.present)
        centred = torch.where(here, x[part.rows] - mean, 0.0)
        expected = mean + _times((covariance @ inner)[part.of], centred)
        whole[part.rows] = torch.where(here, x[part.rows], expected)
        own = share[part.rows]
        each = own.new_zeros(len(part.present)).index_add_(0, part.of, own)
        precision += (each.view(-1, 1, 1) * inner).sum(0)
        total += own.sum()
    return whole, total * covariance - covariance @ precision @ covariance


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


def _inverse_root(factor: Tensor, present: Tensor) -> Tensor:
    """The inverse Cholesky factor of the present part of each pattern, elsewhere of I."""
    missing = torch.diag_embed((~present).to(factor.dtype))
    roots = torch.linalg.cholesky((factor @ factor.mT) * _both(present) + missing)
    units = torch.eye(factor.shape[-1], dtype=factor.dtype, device=factor.device)
    return torch.linalg.solve_triangular(roots, units.expand_as(roots), upper=False)
