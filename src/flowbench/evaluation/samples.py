"""Samples of a run, in the units of its data."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flowbench.data import SoundDataModule
from flowbench.evaluation.clips import sample_clips
from flowbench.evaluation.prior import labels_of
from flowbench.evaluation.runs import Run

__all__ = ["contexts_of", "draw", "is_sound"]


def contexts_of(
    run: Run, *, n: int, label: str | None = None, context: Mapping[str, Any] | None = None
) -> Tensor | None:
    """The contexts of n samples in data units, `[n, context_features]`; clips make their own.

    Without a label or a context, a density that is given contexts is given those of test rows, in
    turn.

    Args:
        run: as `open_run` gives it.
        n: how many.
        label: of the samples, where the density is given labels.
        context: values of the columns that the density of a table is given, by name.

    Raises:
        ValueError: the label or a column is unknown, or a column is missing.
    """
    density = run.density
    if label is None and context is not None:
        return density.context(context).expand(n, -1)
    if label is None and (is_sound(run) or not density.context_features):
        return None
    labels = labels_of(run.data) if density.context_features else []
    if label is not None and label not in labels:
        columns = [*density.context_columns, *density.categories]
        if labels or not columns:
            raise ValueError(f"label={label!r} is not one of the labels {labels}")
        raise ValueError(
            f"label={label!r}: this density is given the columns {', '.join(columns)} of a table, "
            "expected a value for each of them (--context)"
        )
    if context is not None:
        return density.context(context).expand(n, -1)
    if is_sound(run):
        return None
    if label is not None:
        return torch.eye(len(labels))[[labels.index(label)] * n]
    known = run.data.raw.context["test"]
    return torch.from_numpy(np.asarray(known[np.arange(n) % len(known)]))


def is_sound(run: Run) -> bool:
    """Whether the rows of a run are frames of sound."""
    return run.kind is not None and issubclass(run.kind, SoundDataModule)


def draw(
    run: Run, *, n: int, contexts: Tensor | None = None, label: str | None = None
) -> NDArray[np.float64]:
    """Draw n samples in data units, `[n, features]`; clips side by side, frame after frame.

    Clips that run away from the data to values that are not finite are left out.

    Args:
        run: as `open_run` gives it.
        n: how many.
        contexts: as `contexts_of` gives them.
        label: of clips, where the density is given labels.

    Raises:
        ValueError: a label is needed and not given.
    """
    if is_sound(run):
        data: Any = run.data
        if (labels := labels_of(data)) and label is None:
            raise ValueError(f"a label is needed; it is one of {labels}")
        clips = sample_clips(run.density, data, n=n, label=label)
        return clips.reshape(len(clips), -1)
    if contexts is None:
        return run.density.sample(n).double().numpy()
    return run.density.sample(1, contexts)[0].double().numpy()
