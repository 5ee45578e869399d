"""From the units of a table to model space: clipped, on the line or the circle, standardised."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from flowbench.data.moments import moments, refuse_constant, standardize, unscaled
from flowbench.data.selection import Selection
from flowbench.data.table.domain import refuse_outside
from flowbench.transforms.steps import build_preprocess
from flowbench.transforms.weighted_rows import as_counts, quantiles

__all__ = ["apply_steps", "domain_steps", "table_preprocess"]


def table_preprocess(
    x: Mapping[str, Selection],
    names: Sequence[str],
    *,
    clip_quantiles: Sequence[float] | None,
    log_columns: Sequence[str],
    bounds: Mapping[str, Sequence[float | None]],
    periods: Mapping[str, float],
    standardized: bool,
    weight: NDArray[np.float64] | None,
    path: Path,
) -> list[dict[str, Any]]:
    """The preprocessing of the modelled columns, fitted to the training rows.

    Args:
        x: split → its rows of these columns.
        names: names of the columns.
        clip_quantiles: two quantiles to which values are clipped; None: no clipping.
        log_columns: names of columns whose logarithm is taken.
        bounds: columns that are mapped to the line → their bounds.
        periods: circular columns, which become angles → their periods.
        standardized: whether to scale all but the angles finally to mean 0 and standard
            deviation 1.
        weight: how much each training row counts; None: all the same.
        path: path of the table, for messages.

    Raises:
        DataError: a column is constant after clipping, or has values at its bounds or beyond.
    """
    steps: list[dict[str, Any]] = []
    where = str(path)
    if clip_quantiles is not None:
        steps.append(_clip(x["train"], clip_quantiles, weight))
        where = f"{path}, clipped by data.clip_quantiles={list(clip_quantiles)}"
    refuse_outside(
        {split: apply_steps(steps, rows) for split, rows in x.items()}, names, bounds, where=where
    )
    steps += domain_steps(names, log_columns=log_columns, bounds=bounds, periods=periods)
    train = apply_steps(steps, x["train"])
    if standardized:
        steps += unscaled(
            standardize(train, names, where=where, weight=weight), map(list(names).index, periods)
        )
    elif clip_quantiles is not None:
        refuse_constant(moments(train), names, where=where)
    return steps


def domain_steps(
    names: Sequence[str],
    *,
    log_columns: Sequence[str],
    bounds: Mapping[str, Sequence[float | None]],
    periods: Mapping[str, float],
) -> list[dict[str, Any]]:
    """The steps that map positive and bounded columns to the line, and periodic ones to angles."""
    place = list(names).index
    steps: list[dict[str, Any]] = []
    if log_columns:
        steps.append({"name": "Log", "columns": list(map(place, log_columns))})
    if bounds:
        low, high = zip(*bounds.values(), strict=True)
        ends = {"low": list(low), "high": list(high)}
        steps.append({"name": "Bounded", "columns": list(map(place, bounds)), **ends})
    if periods:
        columns = list(map(place, periods))
        steps.append({"name": "Angle", "columns": columns, "periods": list(periods.values())})
    return steps


def apply_steps(steps: Sequence[dict[str, Any]], rows: Selection) -> Selection:
    """Rows after some steps of preprocessing."""
    if not steps:
        return rows
    chain = build_preprocess(steps)
    return rows.then(lambda part: chain.inverse(torch.from_numpy(part))[0].numpy())


def _clip(
    train: Selection, pair: Sequence[float], weight: NDArray[np.float64] | None
) -> dict[str, Any]:
    """The step that clips to two training quantiles, computed one column at a time."""
    counts = None if weight is None else as_counts(torch.from_numpy(weight))
    found = [
        _quantiles(np.concatenate([part[:, column] for part in train.chunks()]), pair, counts)
        for column in range(train.shape[1])
    ]
    low, high = np.stack(found, axis=1).tolist()
    return {"name": "Clip", "low": low, "high": high}


def _quantiles(
    column: NDArray[Any], pair: Sequence[float], counts: torch.Tensor | None
) -> NDArray[Any]:
    """Quantiles of the present cells of a column."""
    if counts is None:
        return np.nanquantile(column, pair)
    present = torch.from_numpy(~np.isnan(column))
    values = torch.from_numpy(column)[present]
    return quantiles(values, torch.tensor(pair), counts[present]).numpy()
