"""What every table file provides: rows with named columns, in chunks."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["Part", "Piece", "labels", "rounded"]

EXACT = 2**53


@dataclass(frozen=True)
class Piece:
    """Some rows.

    Attributes:
        numbers: `[rows, columns]`, NaN where missing, or where the cell holds something else.
        texts: one list per column of labels, None where missing.
        wrong: column → index of a row → what its cell holds instead of a number or a label.
    """

    numbers: NDArray[Any]
    texts: list[list[str | None]]
    wrong: Mapping[str, Mapping[int, str]] = field(default_factory=dict)


class Part(Protocol):
    """Rows with named columns."""

    @property
    def names(self) -> list[str]:
        """The names of all columns."""
        ...

    @property
    def rows(self) -> int | None:
        """The number of rows, if the file says it."""
        ...

    @property
    def problems(self) -> list[str]:
        """What is wrong with the form of the file, as far as it has been read."""
        ...

    def defaults(self) -> list[str]:
        """The columns used if none are chosen."""
        ...

    def pieces(self, numbers: Sequence[str], texts: Sequence[str]) -> Iterator[Piece]:
        """Some columns, at least one of them numeric, in chunks."""
        ...


def labels(values: Sequence[Any]) -> list[str | None]:
    """Values as stripped text, missing ones as None.

    Example:
        >>> labels([1, " a", float("nan"), "", None])
        ['1', 'a', None, None, None]
    """
    return [
        None if value is None or value != value else str(value).strip() or None for value in values
    ]


def rounded(values: NDArray[Any]) -> dict[int, str]:
    """Integers that float64 would round: index → the integer.

    Example:
        >>> rounded(np.array([1, 2**53 + 1]))
        {1: '9007199254740993'}
    """
    if values.dtype.kind not in "iu" or values.itemsize < 8:
        return {}
    [beyond] = np.nonzero((values > EXACT) | (values < -EXACT))
    return {int(index): str(values[index]) for index in beyond}
