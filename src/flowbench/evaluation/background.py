"""A density of all words, which is subtracted from that of one: log p(x | word) − log p(x)."""

from typing import Any, Literal

import torch
from torch import Tensor

from flowbench.config.words import show
from flowbench.data import DataError, DataModule, SoundDataModule
from flowbench.evaluation.anomaly import anomaly_table, label_scores
from flowbench.evaluation.runs import Run
from flowbench.flows import Flow

__all__ = ["evaluate_background", "open_background"]


def open_background(path: str, data: DataModule) -> Run:
    """The run whose density is the background of that of one word.

    Args:
        path: of a run folder, or of a checkpoint.
        data: those of the word, set up.

    Raises:
        DataError: they are not of one word, or the background is not of the same features of all
            words, or not of the same split.
        CheckpointError: the run cannot be read.
    """
    key = f"evaluation.background={path}"
    if not isinstance(data, SoundDataModule) or data.train_label is None:
        raise DataError(
            f"{key}: only a density of one word is compared with one of all words; leave it out, "
            "or set data.train_label where the data are sound"
        )
    with torch.random.fork_rng(devices=[]):  # a training that follows draws what it would draw
        run = Run.of(path, cache=data.cache_dir)
    if run.kind is not type(data):
        theirs = "rows in memory" if run.kind is None else f"data of {run.kind.__name__}"
        raise DataError(f"{key} is a density of {theirs}, expected {type(data).__name__}")
    other: Any = run.data
    wanted = _trained_on(data) | {"train_label": None, "label_context": False}
    differing = [name for name, value in _trained_on(other).items() if value != wanted[name]]
    if differing:
        told, expected = (
            " ".join(f"data.{name}={show(options[name])}" for name in differing)
            for options in (_trained_on(other), wanted)
        )
        raise DataError(
            f"{key} was trained with {told}; expected a density of the same features of all "
            f"words: {expected}"
        )
    return run


def evaluate_background(
    flow: Flow, data: SoundDataModule, split: Literal["val", "test"], background: Run
) -> dict[str, Any]:
    """How log p(x | word) − log p(x) tells words apart; see `anomaly_table`.

    Both are in data units, since preprocessing has other statistics for all words.
    """
    assert data.train_label is not None
    other: Any = background.data
    own = label_scores(flow, data, split, data_units=True)
    every = label_scores(background.density.flow, other, split, data_units=True)
    ratios: dict[str, Tensor] = {label: own[label] - every[label] for label in own}
    return {"run": str(background.path)} | anomaly_table(ratios, learnt=data.train_label)


def _trained_on(data: SoundDataModule) -> dict[str, Any]:
    """What decides of which features of which clips a density is."""
    return data.options() | {"label_context": data.label_context, "path": data.root}
