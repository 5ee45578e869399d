r"""Densities given labels: log p(x) = log Σ p(x | y) p(y), and Bayes' rule as a classifier.

The prior is uniform, p(y) = 1 / labels, as in the MAF paper. The conditional columns of its tables
are log p(x), which is comparable with densities that know no labels.
"""

import math
from typing import Any

import torch
from torch import Tensor

from flowbench.data import DataModule, Rows
from flowbench.evaluation.clips import per_event, rows_per_event
from flowbench.evaluation.likelihood import log_likelihoods, refuse_non_finite
from flowbench.evaluation.score import summarize
from flowbench.flows import Flow

__all__ = ["by_label", "evaluate_labels", "labels_of"]


def labels_of(data: DataModule) -> list[str]:
    """The labels whose one-hot form ends the context; empty where it has none."""
    return getattr(data, "labels", []) if getattr(data, "label_context", False) else []


def by_label(flow: Flow, data: DataModule, split: str) -> Tensor:
    """The log p(x | y) of every event and every label in model space, float64 `[events, labels]`.

    It is −inf, p(x | y) = 0, where the flow overflows.

    Args:
        flow: the density; it is put into evaluation mode.
        data: the data module, set up, whose contexts end in one-hot labels.
        split: "train", "val" or "test".
    """
    rows, count = data.rows[split], len(labels_of(data))
    assert rows.context is not None
    context, columns = rows.context.clone(), []
    for label in torch.eye(count).to(context):
        context[:, -count:] = label
        terms = log_likelihoods(flow, Rows(rows.x, context, rows.log_det), finite=False)
        columns.append(per_event(terms, data))
    return torch.stack(columns, dim=-1)


def evaluate_labels(flow: Flow, data: DataModule, split: str) -> dict[str, Any]:
    """Score one split without its labels.

    Returns:
        `marginal`: log p(x), in model space and in data units; `accuracy`: the share of events
        whose label is argmax p(y | x).

    Raises:
        LikelihoodError: a log p(x) is not finite.
    """
    rows, terms = data.rows[split], by_label(flow, data, split)
    count = terms.shape[1]
    marginal = terms.logsumexp(-1) - math.log(count)
    refuse_non_finite(marginal)
    log_det = per_event(rows.log_det.expand(len(rows)), data)
    assert rows.context is not None
    true = rows.context[:: rows_per_event(data), -count:].argmax(-1).cpu()
    return {
        "marginal": {
            "model_space": summarize(marginal),
            "data_space": summarize(marginal + log_det),
        },
        "accuracy": (terms.argmax(-1) == true).double().mean().item(),
    }
