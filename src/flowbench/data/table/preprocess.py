"""From the units of a table to model space: clipped, as logarithms, standardised."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from flowbench.data.moments import moments, refuse_constant, standardize
from flowbench.data.selection import Selection
from flowbench.transforms.steps import build_preprocess

__all__ = ["table_preprocess"]


def table_preprocess(
    train: Selection,
    names: Sequence[str],
    *,
    clip_quantiles: Sequence[float] | None,
    log_columns: Sequence[str],
    standardized: bool,
    path: Path,
) -> list[dict[str, Any]]:
    """The preprocessing of the modelled columns, fitted to the training rows.

    Args:
        train: the training rows of these columns.
        names: names of the columns.
        clip_quantiles: two quantiles to which values are clipped; None: no clipping.
        log_columns: names of columns whose logarithm is taken.
        standardized: whether to scale them finally to mean 0 and standard deviation 1.
        path: path of the table, for messages.

    Raises:
        DataError: a column is constant after clipping.
    """
    steps: list[dict[str, Any]] = []
    where = str(path)
    if clip_quantiles is not None:
        steps.append(_clip(train, clip_quantiles))
        where = f"{path}, clipped by data.clip_quantiles={list(clip_quantiles)}"
    if log_columns:
        steps.append({"name": "Log", "columns": list(map(list(names).index, log_columns))})
    if steps:
        first = build_preprocess(steps)
        train = train.then(lambda part: first.inverse(torch.from_numpy(part))[0].numpy())
    if standardized:
        steps += standardize(train, names, where=where)
    elif clip_quantiles is not None:
        refuse_constant(moments(train), names, where=where)
    return steps


def _clip(train: Selection, pair: Sequence[float]) -> dict[str, Any]:
    """The step that clips to two training quantiles, computed one column at a time."""
    quantiles = [
        np.quantile(np.concatenate([part[:, column] for part in train.chunks()]), pair)
        for column in range(train.shape[1])
    ]
    low, high = np.stack(quantiles, axis=1).tolist()
    return {"name": "Clip", "low": low, "high": high}
