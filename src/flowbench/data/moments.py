"""Column statistics of arrays larger than memory, and checks based on them."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from flowbench.data.chunks import chunks
from flowbench.data.options import DataError
from flowbench.data.selection import Selection
from flowbench.data.text import refuse_cells

__all__ = [
    "Moments",
    "correlations",
    "moments",
    "refuse_constant",
    "refuse_non_finite",
    "standardize",
    "unscaled",
]


class Moments(NamedTuple):
    """Mean, standard deviation, smallest and largest value of each column, float64 `[columns]`."""

    mean: NDArray[np.float64]
    std: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


def moments(
    x: NDArray[Any] | Selection, *, ddof: int = 0, weight: NDArray[np.float64] | None = None
) -> Moments:
    """Statistics of the present cells of `[rows, columns]`, in two passes in float64.

    Args:
        x: at least one row (two, with `ddof=1`); NaN is a missing cell. A column without any has
            the smallest value ∞ and the largest −∞.
        ddof: 0 divides the sum of squares by the number of rows, 1 by one less.
        weight: how much each row counts, `[rows]`, of mean 1; None: all the same.

    Example:
        >>> moments(np.array([[1.0], [3.0]])).std
        array([1.])
    """
    sums, squares, counts, lows, highs = [], [], [], [], []
    for start, part in _parts(x):
        present = ~np.isnan(part)
        each = present * _counts(weight, start, part)
        counts.append(each.sum(axis=0))
        sums.append((np.where(present, part, 0.0) * each).sum(axis=0))
        lows.append(np.where(present, part, np.inf).min(axis=0))
        highs.append(np.where(present, part, -np.inf).max(axis=0))
    count = np.sum(counts, axis=0)
    with np.errstate(
        over="ignore", invalid="ignore", divide="ignore"
    ):  # told by those who need it
        mean = np.sum(sums, axis=0) / count
        for start, part in _parts(x):
            centred = np.where(np.isnan(part), 0.0, part - mean)
            squares.append((centred**2 * _counts(weight, start, part)).sum(axis=0))
        std = np.sqrt(np.sum(squares, axis=0) / (count - ddof))
    return Moments(mean, std, np.min(lows, axis=0), np.max(highs, axis=0))


def _counts(weight: NDArray[np.float64] | None, start: int, part: NDArray[Any]) -> Any:
    """How much the rows of a part count."""
    return 1.0 if weight is None else weight[start : start + len(part), None]


def correlations(x: NDArray[Any] | Selection, found: Moments | None = None) -> NDArray[np.float64]:
    """Pearson correlations `[columns, columns]` of the columns of `[rows, columns]`.

    Args:
        x: the rows.
        found: their `moments`, if these are known.

    Example:
        >>> correlations(np.array([[1.0, 2.0], [2.0, 1.0]])).round(6).tolist()
        [[1.0, -1.0], [-1.0, 1.0]]
    """
    mean = (found or moments(x)).mean
    covariance = np.sum([(part - mean).T @ (part - mean) for _, part in _parts(x)], axis=0)
    scale = np.sqrt(np.diag(covariance))
    return covariance / np.outer(scale, scale)


def standardize(
    x: NDArray[Any] | Selection,
    names: Sequence[str],
    *,
    where: str,
    ddof: int = 0,
    constant: bool = False,
    weight: NDArray[np.float64] | None = None,
) -> list[dict[str, Any]]:
    """The preprocessing that gives the columns of `x` mean 0 and standard deviation 1.

    Args:
        x: `[rows, columns]`.
        names: names of the columns.
        where: how messages refer to the rows.
        ddof: subtracted from the number of rows in the variance.
        constant: accept constant columns, which are only centred.
        weight: how much each row counts, `[rows]`, of mean 1; None: all the same.

    Raises:
        DataError: a column is constant, or its variance is too large or too small for float64.
    """
    found = moments(x, ddof=ddof, weight=weight)
    if not constant:
        refuse_constant(found, names, where=where)
    _refuse_immeasurable(found, names, where=where)
    std = np.where(found.low >= found.high, 1.0, found.std)
    return [{"name": "Standardize", "mean": found.mean.tolist(), "std": std.tolist()}]


def unscaled(steps: list[dict[str, Any]], columns: Iterable[int]) -> list[dict[str, Any]]:
    """The steps of `standardize`, which leave some columns as they are.

    Example:
        >>> unscaled([{"name": "Standardize", "mean": [3.0, 4.0], "std": [1.0, 2.0]}], [1])
        [{'name': 'Standardize', 'mean': [3.0, 0.0], 'std': [1.0, 1.0]}]
    """
    for step in steps:
        for column in columns:
            step["mean"][column], step["std"][column] = 0.0, 1.0
    return steps


def refuse_constant(found: Moments, names: Sequence[str], *, where: str) -> None:
    """Refuse constant columns: they have no density.

    Raises:
        DataError: naming the columns.
    """
    constant = [
        f"{name!r} ({f'always {low + 0.0:g}' if low == high else 'always missing'})"
        for name, low, high in zip(names, found.low, found.high, strict=True)
        if low >= high
    ]
    if constant:
        raise DataError(f"{where}: a column must vary, but constant is {', '.join(constant)}")


def _refuse_immeasurable(found: Moments, names: Sequence[str], *, where: str) -> None:
    columns = [
        f"{name!r} ({low:g} to {high:g})"
        for name, low, high, std in zip(names, found.low, found.high, found.std, strict=True)
        if low < high and not 0 < std < np.inf
    ]
    if columns:
        raise DataError(
            f"{where}: the variance in float64 is infinite or 0 in {', '.join(columns)}; change "
            "the unit of such a column, or correct its outliers"
        )


def refuse_non_finite(
    x: NDArray[Any] | Selection, names: Sequence[str], *, where: str, missing: bool = False
) -> None:
    """Refuse NaN and infinity.

    Args:
        x: `[rows, columns]`.
        names: names of the columns.
        where: how messages refer to the rows.
        missing: accept NaN, a missing cell.

    Raises:
        DataError: naming the first three cells; rows are counted from 1.
    """
    for start, part in _parts(x):
        cells = np.argwhere(~(np.isfinite(part) | (missing & np.isnan(part))))
        refuse_cells(cells, list(part.T), names=names, first=start + 1, where=where)


def _parts(x: NDArray[Any] | Selection) -> Iterator[tuple[int, NDArray[np.float64]]]:
    for part in chunks(*x.shape):
        yield part.start, np.asarray(x[part], np.float64)
