"""Which rows of a table are for training, validation and test: 0, 1, 2 for each row."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flowbench.data.options import DataError
from flowbench.data.raw import SPLITS
from flowbench.data.selection import Selection
from flowbench.data.table.columns import Columns

__all__ = ["split_groups", "split_rows", "split_table"]


def split_table(
    arrays: Mapping[str, NDArray[Any]],
    columns: Columns,
    *,
    fractions: Sequence[float],
    seed: int,
    path: Path,
) -> list[Selection]:
    """The rows of train, val and test, with all columns, in the order of the file.

    Args:
        arrays: arrays of a converted table: "all", or one per split.
        columns: their columns; one may give the split, or groups that must share a split.
        fractions: fractions of the rows for train, val, test, unless the table gives the split.
        seed: seed of the random split.
        path: path of the table, for messages.

    Raises:
        DataError: a split is empty, or there are fewer than three groups.
    """
    if "all" not in arrays:
        parts = [arrays[split] for split in SPLITS]
        return [Selection(array, np.arange(len(array))) for array in parts]
    whole = arrays["all"]
    code = _codes(whole, columns, fractions, seed, path)
    rows = [Selection(whole, np.flatnonzero(code == split)) for split in range(3)]
    for name, split in zip(SPLITS, rows, strict=True):
        if not len(split):
            drawn = columns.split is None and columns.group is None and len(whole) > 2
            way = "; data.fractions=[0.4,0.3,0.3] leaves rows for each" if drawn else ""
            raise DataError(f"{path}: the split {name!r} is empty, expected rows in it{way}")
    return rows


def _codes(
    whole: NDArray[Any], columns: Columns, fractions: Sequence[float], seed: int, path: Path
) -> NDArray[Any]:
    """The split of each row: 0, 1 or 2."""
    if columns.split is not None:
        return whole[:, len(columns.numbers) + columns.texts.index(columns.split)]
    if columns.group is None:
        return split_rows(len(whole), fractions, seed=seed)
    groups = whole[:, len(columns.numbers) + columns.texts.index(columns.group)]
    try:
        return split_groups(groups.astype(np.intp), fractions, seed=seed)
    except DataError as error:
        raise DataError(f"{path}: data.group_column={columns.group}: {error}") from error


def split_rows(rows: int, fractions: Sequence[float], *, seed: int) -> NDArray[np.int8]:
    """Split rows at random.

    Args:
        rows: number of rows.
        fractions: fractions for train, val, test; they sum to 1.
        seed: seed of the random split.

    Example:
        >>> split_rows(10, (0.6, 0.2, 0.2), seed=0).tolist()
        [1, 2, 0, 0, 0, 0, 0, 0, 2, 1]
    """
    val, test = (round(fraction * rows) for fraction in fractions[1:])
    code = np.zeros(rows, np.int8)
    order = np.random.default_rng(seed).permutation(rows)
    train = rows - val - test
    code[order[train : train + val]] = 1
    code[order[train + val :]] = 2
    return code


def split_groups(
    groups: NDArray[np.intp], fractions: Sequence[float], *, seed: int
) -> NDArray[np.int8]:
    """Split rows at random so that no group is in two splits.

    Whole groups, in random order, fill train, val and test; the numbers of
    rows come as near as possible to the fractions, but each split gets at least one group.

    Args:
        groups: the group of each row, numbered from 0.
        fractions: fractions of the rows for train, val, test; they sum to 1.
        seed: seed of the random split.

    Raises:
        DataError: there are fewer than three groups.

    Example:
        >>> split_groups(np.array([0, 0, 1, 1, 2, 2, 3, 3]), (0.5, 0.25, 0.25), seed=0).tolist()
        [0, 0, 1, 1, 0, 0, 2, 2]
    """
    sizes = np.bincount(groups)
    count = len(sizes)
    if count < 3:
        raise DataError(f"there are {count} groups, expected at least 3: one for each split")
    order = np.random.default_rng(seed).permutation(count)
    ends = np.cumsum(sizes[order])
    wanted = np.cumsum(fractions)[:2] * len(groups)
    train, val = (int(np.abs(ends - rows).argmin()) + 1 for rows in wanted)
    train = min(train, count - 2)
    val = min(max(val, train + 1), count - 1)
    code = np.zeros(count, np.int8)
    code[order[train:val]] = 1
    code[order[val:]] = 2
    return code[groups]
