"""Exact log-likelihoods: every row once, sums in float64, on however many processes."""

from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn

from flowbench import ranks
from flowbench.data import Rows
from flowbench.data.loader import SequentialLoader
from flowbench.flows import Flow

__all__ = ["LikelihoodError", "device_of", "least_likely", "log_likelihoods", "refuse_non_finite"]


class LikelihoodError(ArithmeticError):
    """A log-likelihood is NaN or infinite."""


def device_of(flow: nn.Module) -> torch.device:
    """Where the parameters of a flow are, or its buffers where it has none."""
    return next(chain(flow.parameters(), flow.buffers()), torch.empty(0)).device


@torch.no_grad()
def log_likelihoods(flow: Flow, rows: Rows, *, finite: bool = True) -> Tensor:
    """The log-likelihood of every row in model space, float64 `[rows]`, in nats.

    Where several ranks train together, all of them call this: each scores its share of the chunks
    that one process alone would score, and all get all terms, so that they are the same digits.

    Args:
        flow: the density, the same on every rank; it is put into evaluation mode.
        rows: one split, the same on every rank; chunks of it go to the device of the flow.
        finite: refuse what is not.

    Raises:
        LikelihoodError: see `refuse_non_finite`.
    """
    flow.eval()
    loader, device = SequentialLoader(rows), device_of(flow)
    own = torch.arange(len(loader)).tensor_split(ranks.size())[ranks.rank()].tolist()
    batches = (loader[chunk].to(device) for chunk in own)
    parts = [flow.log_prob(batch.x, batch.context).cpu().double() for batch in batches]
    terms = torch.cat([part for parts in ranks.gathered(parts) for part in parts])
    if finite:
        refuse_non_finite(terms)
    return terms


def refuse_non_finite(terms: Tensor) -> None:
    """Refuse log-likelihoods that have no mean.

    Raises:
        LikelihoodError: one is NaN or infinite; the sentence counts them.
    """
    lost = (~terms.isfinite()).nonzero().flatten().tolist()
    if lost:
        raise LikelihoodError(
            f"{len(lost)} of {len(terms)} log-likelihoods are not finite, the first that of row "
            f"{lost[0]} (from 0): the flow overflows there"
        )


def least_likely(terms: Tensor, *, count: int = 5, name: str = "row") -> list[dict[str, Any]]:
    """The rows of lowest log-likelihood, the lowest first; rows are counted from 0.

    Args:
        terms: one per row, in nats.
        count: how many.
        name: of what the terms belong to, where it is not a row.

    Example:
        >>> import torch
        >>> least_likely(torch.tensor([0.0, -9.0, -1.0]), count=2)
        [{'row': 1, 'log_likelihood': -9.0}, {'row': 2, 'log_likelihood': -1.0}]
    """
    values, rows = terms.topk(min(count, len(terms)), largest=False)
    pairs = zip(rows.tolist(), values.tolist(), strict=True)
    return [{name: row, "log_likelihood": value} for row, value in pairs]
