"""What every file of a user's table gives: rows with named columns, piece by piece."""

import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Protocol

from numpy.typing import NDArray

__all__ = ["Part", "Piece", "one_line", "way_out"]


class Piece(NamedTuple):
    """Some rows: numbers `[rows, columns]`, NaN where missing; per text column one list."""

    numbers: NDArray[Any]
    texts: list[list[str | None]]


class Part(Protocol):
    """Rows with named columns."""

    @property
    def names(self) -> list[str]:
        """Of all columns."""
        ...

    def defaults(self) -> list[str]:
        """The columns that count where nobody chooses among them."""
        ...

    def pieces(self, numbers: Sequence[str], texts: Sequence[str]) -> Iterator[Piece]:
        """Some columns, at least one of numbers, piece by piece."""
        ...


def way_out(name: str, value: Any) -> str:
    """What helps where a column of numbers holds something else, as the end of a sentence.

    Example:
        >>> way_out("price", "1,5")
        ', written like 1234.5'
    """
    if re.fullmatch(r"[-+]?\d[\d.,_' ]*", str(value)):
        return ", written like 1234.5"
    return (
        f"; data.categorical_columns=[{name}] makes its words the context, and data.columns=[...] "
        "without it leaves it out"
    )


def one_line(error: Exception) -> str:
    """The first line of what an error says."""
    return str(error).splitlines()[0]
