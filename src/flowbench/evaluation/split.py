"""All that a result says of one split."""

import math
from typing import Any

from flowbench.data import DataModule, SoundDataModule
from flowbench.evaluation.anomaly import evaluate_anomaly
from flowbench.evaluation.clips import per_event, rows_per_event
from flowbench.evaluation.conditional import evaluate_labels, labels_of
from flowbench.evaluation.likelihood import least_likely, log_likelihoods
from flowbench.evaluation.score import Score
from flowbench.flows import Flow

__all__ = ["evaluate"]


def evaluate(flow: Flow, data: DataModule, split: str) -> dict[str, Any]:
    """Score one split: in model space, in data units, and as bits per dimension.

    Args:
        flow: the trained density.
        data: the data module, set up.
        split: "train", "val" or "test".

    Returns:
        The block of `result.json` for this split, in nats per event: a row, or a clip that is
        `rows_per_event` rows, one per frame, whose log-likelihoods add up. `exact` is the highest
        mean that any density can expect, where it is known. Given labels there are also
        `marginal` and `accuracy`; of one label, `anomaly`.
    """
    rows, count = data.rows[split], rows_per_event(data)
    terms = per_event(log_likelihoods(flow, rows), data)
    model_space = Score.of(terms, rows_per_event=count)
    data_space = Score.of(terms + per_event(rows.log_det.expand(len(rows)), data))
    bits = -data_space.mean / (count * data.features * math.log(2))
    block: dict[str, Any] = {
        "log_likelihood": {"model_space": model_space.json(), "data_space": data_space.json()},
        "rows_per_event": count,
        "bits_per_dim": bits if data.raw.dequantized or data.raw.discrete else None,
        "exact": data.raw.exact_log_likelihood,
        "least_likely": least_likely(terms, name=model_space.event),
    }
    if labels_of(data):
        block |= evaluate_labels(flow, data, split)
    if isinstance(data, SoundDataModule) and data.train_label is not None and split != "train":
        block["anomaly"] = evaluate_anomaly(flow, data, "val" if split == "val" else "test")
    return block
