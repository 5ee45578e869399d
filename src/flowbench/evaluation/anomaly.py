"""Anomaly detection: are events of other labels less likely than those of the learnt one?"""

from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor

from flowbench.data import SoundDataModule
from flowbench.evaluation.clips import per_event
from flowbench.evaluation.likelihood import log_likelihoods
from flowbench.evaluation.score import summarize
from flowbench.flows import Flow

__all__ = ["anomaly_table", "evaluate_anomaly", "label_scores", "separation"]


def label_scores(
    flow: Flow,
    data: SoundDataModule,
    split: Literal["val", "test"],
    *,
    data_units: bool = False,
) -> dict[str, Tensor]:
    """Label → log-likelihoods of its clips, float64 `[clips]`, in nats.

    Args:
        flow: the density.
        data: the data module, set up.
        split: whose clips are scored.
        data_units: of densities in data units, instead of those in model space.
    """
    return {
        label: per_event(log_likelihoods(flow, rows) + rows.log_det * data_units, data)
        for label, rows in data.scored_of(split).items()
    }


def evaluate_anomaly(
    flow: Flow, data: SoundDataModule, split: Literal["val", "test"]
) -> dict[str, Any]:
    """The table of a density of `data.train_label`; see `anomaly_table`."""
    assert data.train_label is not None
    return anomaly_table(label_scores(flow, data, split), learnt=data.train_label) | {
        "unit": "nats per clip"
    }


def anomaly_table(scores: Mapping[str, Tensor], *, learnt: str) -> dict[str, Any]:
    """Compare the scores of the learnt label with those of all others.

    Args:
        scores: label → one score per event, the higher the more likely.
        learnt: the label that the density was trained on.

    Returns:
        `labels`: label → mean, error and order statistics, and for others their `separation` from
        the learnt one; `above`: how many others have a higher mean; `mean_auroc`: over the others,
        and `worst_auroc`; `others`: the separation from all others together.

    Example:
        >>> import torch
        >>> scores = {"a": torch.tensor([2.0, 3.0]), "b": torch.tensor([1.0, 2.5])}
        >>> table = anomaly_table(scores, learnt="a")
        >>> table["above"], table["mean_auroc"]
        (0, 0.75)
    """
    own = scores[learnt]
    others = {label: terms for label, terms in scores.items() if label != learnt}
    labels: dict[str, Any] = {label: summarize(terms) for label, terms in scores.items()}
    for label, terms in others.items():
        labels[label] |= separation(own, terms)
    curves = [labels[label]["auroc"] for label in others]
    return {
        "learnt": learnt,
        "labels": labels,
        "above": sum(labels[label]["mean"] > labels[learnt]["mean"] for label in others),
        "mean_auroc": sum(curves) / len(curves),
        "worst_auroc": min(curves),
        "others": separation(own, torch.cat(list(others.values()))),
    }


def separation(own: Tensor, others: Tensor) -> dict[str, float]:
    """How well scores separate the positive events from the others.

    Args:
        own: scores of the positive events `[events]`.
        others: scores of the others `[events]`.

    Returns:
        `auroc`: the probability that a positive event has the higher score, ties counted half;
        `average_precision`: the area below precision over recall, in steps.
    """
    from torchmetrics.functional.classification import (  # slow to import
        binary_auroc,
        binary_average_precision,
    )

    # Ranks, which lie in [0, 1]: torchmetrics applies a sigmoid to scores outside of it.
    _, place = torch.unique(torch.cat([own, others]), return_inverse=True)
    score = place.double() / max(1, place.max().item())
    positive = torch.arange(len(place)) < len(own)
    return {
        "auroc": binary_auroc(score, positive.long()).item(),
        "average_precision": binary_average_precision(score, positive.long()).item(),
    }
