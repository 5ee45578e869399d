"""Rows of an array larger than memory, read and transformed on access."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flowbench.data.chunks import chunks

__all__ = ["Selection"]

Change = Callable[[NDArray[Any]], NDArray[Any]]


class Selection:
    """Some rows of an array `[rows, columns]`, in the order of an index, as if they were an array.

    Args:
        array: an array in memory or memory-mapped.
        index: indices of the rows; in ascending order they are read sequentially from disk.
        change: row-wise function applied to the rows that are read; None: no change.

    Example:
        >>> odd = Selection(np.arange(8.0).reshape(4, 2), np.array([1, 3]), change=np.negative)
        >>> odd.shape, odd[1:].tolist(), np.asarray(odd.then(np.abs)).tolist()
        ((2, 2), [[-6.0, -7.0]], [[2.0, 3.0], [6.0, 7.0]])
    """

    def __init__(
        self, array: NDArray[Any], index: NDArray[np.intp], *, change: Change | None = None
    ) -> None:
        self.array = array
        self.index = index
        self.change = change
        self.dtype: np.dtype[Any] = self[:0].dtype
        self.shape: tuple[int, ...] = (len(index), self[:0].shape[1])

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, rows: slice) -> NDArray[Any]:
        values = np.asarray(self.array[self.index[rows]])
        return values if self.change is None else self.change(values)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:  # noqa: FBT001
        values = self[:]
        return values if dtype is None else values.astype(dtype, copy=bool(copy))

    def chunks(self) -> Iterator[NDArray[Any]]:
        """All rows, in chunks."""
        return (self[part] for part in chunks(len(self), self.array.shape[1]))

    def values_of(self, column: int) -> set[float]:
        """The distinct values of a column."""
        return {value for part in self.chunks() for value in np.unique(part[:, column]).tolist()}

    def then(self, change: Change) -> "Selection":
        """The same rows with a further change."""
        first = self.change
        both = change if first is None else lambda values: change(first(values))
        return Selection(self.array, self.index, change=both)
