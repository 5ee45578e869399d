"""Which rows of a table are for training, validation and test: 0, 1, 2 for each row."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from flowbench.data.base import DataError

__all__ = ["split_groups", "split_rows"]


def split_rows(rows: int, fractions: Sequence[float], *, seed: int) -> NDArray[np.int8]:
    """Split rows at random.

    Args:
        rows: how many there are.
        fractions: of train, val, test; they sum to 1.
        seed: of the draw.

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

    Whole groups, in random order, fill train, val and test; the bounds are where the numbers of
    rows come nearest to the fractions, but each split has a group.

    Args:
        groups: the group of each row, numbered from 0.
        fractions: of the rows for train, val, test; they sum to 1.
        seed: of the draw.

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
