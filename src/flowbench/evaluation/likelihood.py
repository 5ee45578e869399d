"""Exact log-likelihoods: every row once, sums in float64."""

import math
from typing import Any

import torch
from torch import Tensor

from flowbench.data import DataModule, Rows
from flowbench.data.loader import SequentialLoader
from flowbench.flows import Flow

__all__ = ["evaluate", "log_likelihoods", "summarize"]


@torch.no_grad()
def log_likelihoods(flow: Flow, rows: Rows) -> Tensor:
    """The log-likelihood of every row in model space, float64 `[rows]`, in nats.

    Args:
        flow: the density; it is put into evaluation mode.
        rows: one split.
    """
    flow.eval()
    return torch.cat([flow.log_prob(*batch).cpu().double() for batch in SequentialLoader(rows)])


def summarize(terms: Tensor) -> dict[str, float]:
    r"""Mean with its error and the order statistics of log-likelihoods.

    The error is two standard errors, 2 s / √n, as in the tables of the literature.

    Args:
        terms: one per row, in nats.

    Example:
        >>> import torch
        >>> summarize(torch.tensor([1.0, 2.0, 3.0, 4.0]))["two_standard_errors"]
        1.29...
    """
    terms = terms.to(torch.float64)
    deviation = terms.std().item() if len(terms) > 1 else 0.0
    return {
        "mean": terms.mean().item(),
        "two_standard_errors": 2 * deviation / math.sqrt(len(terms)),
        "median": terms.median().item(),
        "min": terms.min().item(),
        "n": len(terms),
    }


def evaluate(flow: Flow, data: DataModule, split: str) -> dict[str, Any]:
    """Score one split: in model space, in data units, and as bits per dimension.

    Args:
        flow: the trained density.
        data: the data module, set up.
        split: "train", "val" or "test".

    Returns:
        The block of `result.json` for this split; `exact` is the highest mean that any density can
        expect, where it is known.
    """
    rows = data.rows[split]
    terms = log_likelihoods(flow, rows)
    data_space = summarize(terms + rows.log_det)
    bits = -data_space["mean"] / (data.features * math.log(2)) if data.raw.dequantized else None
    return {
        "log_likelihood": {"model_space": summarize(terms), "data_space": data_space},
        "bits_per_dim": bits,
        "exact": data.raw.exact_log_likelihood,
    }
