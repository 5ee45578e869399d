"""The weights of a mixture of densities, by expectation and maximisation."""

import torch
from torch import Tensor

__all__ = ["mixture_weights"]

ROUNDS = 1000
TOLERANCE = 1e-7  # nats per row
SMALLEST = 0.02


def mixture_weights(terms: Tensor, rows: Tensor | None = None) -> Tensor:
    r"""The weights w under which Σ log Σₖ wₖ pₖ(x) is highest, which is concave in w.

    Weights below 0.02 become 0, and the others are found again.

    Args:
        terms: log pₖ of rows, `[rows, K]`.
        rows: how much each row counts; None: all the same.

    Returns:
        Float64 `[K]`, adding up to 1.

    Example:
        >>> terms = torch.tensor([[0.3, 0.7], [0.7, 0.3], [0.1, 0.1]]).log()
        >>> mixture_weights(terms).round(decimals=3)
        tensor([0.5000, 0.5000], dtype=torch.float64)
    """
    terms = terms.double()
    counts = torch.ones(len(terms)) if rows is None else rows
    shares = (counts.double() / counts.double().sum()).unsqueeze(-1)
    weights = _maximised(terms, shares, torch.ones(terms.shape[1], dtype=torch.float64))
    kept = weights >= SMALLEST
    return weights if kept.all() else _maximised(terms, shares, kept.double())


def _maximised(terms: Tensor, shares: Tensor, weights: Tensor) -> Tensor:
    weights, before = weights / weights.sum(), -float("inf")
    for _ in range(ROUNDS):
        joint = terms + weights.log()
        totals = joint.logsumexp(-1, keepdim=True)
        if (mean := (shares * totals).sum().item()) - before < TOLERANCE:
            break
        before = mean
        weights = (shares * (joint - totals).exp()).sum(0)
    return weights
