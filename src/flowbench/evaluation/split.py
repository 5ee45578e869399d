"""All that a result says of one split."""

import math
from typing import Any

import torch
from torch import Tensor

from flowbench.config.settings import Evaluation
from flowbench.data import DataModule, SoundDataModule
from flowbench.evaluation.anomaly import evaluate_anomaly
from flowbench.evaluation.background import evaluate_background, open_background
from flowbench.evaluation.clips import per_event, rows_per_event
from flowbench.evaluation.conditional import without_labels
from flowbench.evaluation.likelihood import least_likely, log_likelihoods
from flowbench.evaluation.noise import rows_by_draw
from flowbench.evaluation.prior import class_prior, labels_of
from flowbench.evaluation.score import Score, summarize
from flowbench.flows import Flow

__all__ = ["evaluate", "scored"]


def evaluate(
    flow: Flow, data: DataModule, split: str, *, options: Evaluation | None = None
) -> dict[str, Any]:
    """Score one split: in model space, in data units, and as bits per dimension.

    Args:
        flow: the trained density.
        data: the data module, set up.
        split: "train", "val" or "test".
        options: the section `evaluation` of a configuration; None: its defaults.

    Returns:
        The block of `result.json` for this split, in nats per event: a row, or a clip that is
        `rows_per_event` rows, one per frame, whose log-likelihoods add up. `bits_per_dim` are
        those of log p(x), also where a density is given labels. `exact` is the highest mean that
        any density can expect, where it is known. `noise_draws` is how many draws of the
        dequantisation noise the log-likelihoods are means of, where the rows hold some. Given
        labels there are also `marginal`, `accuracy` (means over the draws too) and `class_prior`;
        of one label, `anomaly`, and in it `background` where the options name one. `measure` names
        what the log-likelihoods are densities of, where they are comparable with no others.

    Raises:
        DataError: the options do not fit the data.
    """
    return scored(flow, data, split, options=options)[0]


def scored(
    flow: Flow, data: DataModule, split: str, *, options: Evaluation | None = None
) -> tuple[dict[str, Any], Tensor]:
    """What `evaluate` says of a split, and the log-likelihoods behind the score of tables.

    Args:
        flow: as for `evaluate`.
        data: as for `evaluate`.
        split: as for `evaluate`.
        options: as for `evaluate`.

    Returns:
        The block of `result.json`, and one log-likelihood per event in data units, float64
        `[events]`: of log p(x) where a density is given labels.

    Raises:
        DataError: the options do not fit the data.
    """
    options, count = options or Evaluation(), rows_per_event(data)
    prior = class_prior(data, options.class_prior) if labels_of(data) else None
    draws: list[dict[str, Tensor]] = []
    for rows in rows_by_draw(data, split, options.draws):
        log_det = per_event(rows.log_det.expand(len(rows)), data)
        draws.append({"given": per_event(log_likelihoods(flow, rows), data), "log_det": log_det})
        if prior:
            draws[-1]["marginal"], draws[-1]["right"] = without_labels(flow, data, rows, prior)
    mean = {name: torch.stack([draw[name] for draw in draws]).mean(0) for name in draws[0]}
    weight = data.rows[split].weight
    model_space = Score.of(mean["given"], weight=weight, rows_per_event=count)
    data_space = Score.of(mean["given"] + mean["log_det"], weight=weight)
    without = mean["marginal" if prior else "given"] + mean["log_det"]
    bits = -Score.of(without, weight=weight).mean / (count * data.features * math.log(2))
    block: dict[str, Any] = {
        "log_likelihood": {"model_space": model_space.json(), "data_space": data_space.json()},
        "rows_per_event": count,
        "bits_per_dim": bits if data.raw.dequantized or data.raw.discrete else None,
        "exact": data.raw.exact_log_likelihood,
        "noise_draws": options.draws if data.has_noise else None,
        "least_likely": least_likely(mean["given"], name=model_space.event),
    }
    if data.other_measure is not None:
        block["measure"] = data.other_measure
    if prior:
        block |= {
            "marginal": {
                "model_space": summarize(mean["marginal"], weight),
                "data_space": summarize(mean["marginal"] + mean["log_det"], weight),
            },
            "accuracy": Score.of(mean["right"], weight=weight).mean,
            "class_prior": prior._asdict(),
        }
    if isinstance(data, SoundDataModule) and data.train_label is not None and split != "train":
        part = "val" if split == "val" else "test"
        block["anomaly"] = evaluate_anomaly(flow, data, part)
        if options.background is not None:
            background = open_background(options.background, data)
            found = evaluate_background(flow, data, part, background)
            block["anomaly"]["background"] = found
    return block, without.double().cpu()
