r"""Densities given labels: log p(x) = log Σ p(x | y) p(y), and Bayes' rule as a classifier.

With p(y) = 1 / labels, as in the MAF paper, these are the conditional columns of its tables, which
are comparable with densities that know no labels. See `prior` for other p(y).
"""

import time

import torch
from torch import Tensor

from flowbench import ranks
from flowbench.console import say
from flowbench.data import DataModule, Rows
from flowbench.evaluation.clips import per_event, rows_per_event
from flowbench.evaluation.likelihood import log_likelihoods, refuse_non_finite
from flowbench.evaluation.prior import ClassPrior, labels_of
from flowbench.flows import Flow

__all__ = ["by_label", "without_labels"]

PACE = 10.0  # seconds between lines of progress


def by_label(flow: Flow, data: DataModule, rows: Rows) -> Tensor:
    """The log p(x | y) of every event and every label in model space, float64 `[events, labels]`.

    It is −inf, p(x | y) = 0, where the flow overflows. A line tells how far it is, every ten
    seconds at most: this costs as much as scoring all rows once for each label.

    Args:
        flow: the density; it is put into evaluation mode.
        data: the data module, set up, whose contexts end in one-hot labels.
        rows: a split of it.
    """
    count = len(labels_of(data))
    assert rows.context is not None
    context, columns = rows.context.clone(), []
    begun = told = time.monotonic()
    for done, label in enumerate(torch.eye(count).to(context)):
        now = time.monotonic()
        if done and now - told > PACE and not ranks.rank():
            left = (now - begun) * (count - done) / done
            say(
                f"scored {len(rows):,} rows under {done} of {count} labels "
                f"({now - begun:.0f} s, about {left:.0f} s left)"
            )
            told = now
        context[:, -count:] = label
        terms = log_likelihoods(flow, rows.changed(context=context), finite=False)
        columns.append(per_event(terms, data))
    return torch.stack(columns, dim=-1)


def without_labels(
    flow: Flow, data: DataModule, rows: Rows, prior: ClassPrior
) -> tuple[Tensor, Tensor]:
    """Score events without their labels.

    Returns:
        log p(x) in model space, float64 `[events]`; and 1 where the label is argmax p(y | x),
        else 0, float64 `[events]`.

    Raises:
        LikelihoodError: a log p(x) is not finite.
    """
    joint = by_label(flow, data, rows) + prior.log
    marginal = joint.logsumexp(-1)
    refuse_non_finite(marginal)
    assert rows.context is not None
    true = rows.context[:: rows_per_event(data), -joint.shape[1] :].argmax(-1).cpu()
    return marginal, (joint.argmax(-1) == true).double()
