"""Checks whether distinct values in the data remain distinct in model space."""

import warnings
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from flowbench.transforms import Transform

__all__ = ["warn_of_merged_values"]

VALUES = 2**20  # checked, in evenly spaced rows
ROWS = 10_000
KEPT = 0.99  # share of the distinct values; among many rows a few always coincide


def warn_of_merged_values(
    x: NDArray[np.generic],
    preprocess: Transform,
    *,
    dtype: torch.dtype,
    names: Sequence[str],
) -> None:
    """Warn if many distinct values of a column become equal after preprocessing.

    For example, an outlier of 1e12 makes the standard deviation of a column so large that, once
    standardised, all other values are almost 0 and closer together than float32 resolves.

    Args:
        x: rows in data units, `[rows, columns]`.
        preprocess: its `inverse` is applied, in float64.
        dtype: type to which the results are rounded.
        names: names of the columns; if there are fewer, they repeat.

    Example:
        >>> import pytest
        >>> from flowbench.transforms import Chain
        >>> with pytest.warns(UserWarning, match="'time': of 99 different values 4 remain"):
        ...     rows = 5e8 + np.arange(99.0)[:, None]
        ...     warn_of_merged_values(rows, Chain(), dtype=torch.float32, names=["time"])
    """
    rows = min(len(x), ROWS, max(1, VALUES // x.shape[1]))
    index = np.linspace(0, len(x) - 1, rows).astype(np.int64)
    u, _ = preprocess.inverse(torch.from_numpy(np.array(x[index], np.float64)))
    counts = zip(_distinct(u), _distinct(u.to(dtype)), strict=True)
    merged = [
        f"{names[column % len(names)]!r}: of {before:,} different values {after:,} remain"
        for column, (before, after) in enumerate(counts)
        if after < KEPT * before
    ]
    if merged:
        more = f", and so on in {len(merged)} columns" if len(merged) > 3 else ""
        warnings.warn(
            f"preprocessing to {dtype} merges values of column {'; '.join(merged[:3])}{more}. "
            "Outliers or a large offset do this: remove them, or take logarithms",
            stacklevel=5,
        )


def _distinct(values: torch.Tensor) -> list[int]:
    """The number of distinct values in each column."""
    ordered = values.sort(dim=0).values
    return (1 + (ordered[1:] != ordered[:-1]).sum(0)).tolist()
