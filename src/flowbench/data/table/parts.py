"""What every table file provides: rows with named columns, in chunks."""

import re
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Protocol
from zipfile import BadZipFile

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from flowbench.data.options import DataError

__all__ = [
    "Part",
    "Piece",
    "labels",
    "one_line",
    "readable",
    "refuse_rounded",
    "way_out",
]

DAMAGE = (OSError, ValueError, KeyError, EOFError, BadZipFile, zlib.error, pa.ArrowException)
EXACT = 2**53


class Piece(NamedTuple):
    """Some rows: numbers `[rows, columns]`, NaN where missing; one list per text column."""

    numbers: NDArray[Any]
    texts: list[list[str | None]]


class Part(Protocol):
    """Rows with named columns."""

    @property
    def names(self) -> list[str]:
        """The names of all columns."""
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


def way_out(name: str, value: Any) -> str:
    """Advice on a numeric column that holds something else, as the end of a sentence.

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


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turn any error from a damaged file into one sentence.

    Raises:
        DataError: the file cannot be read.
    """
    try:
        yield
    except DAMAGE as error:
        raise DataError(f"{path} is no readable {path.suffix} file: {one_line(error)}") from error


def refuse_rounded(values: NDArray[Any], *, row: int, column: str, where: str) -> None:
    """Refuse integers that float64 would round.

    Args:
        values: values of a column.
        row: row of the first of them in the file.
        column: name of the column.
        where: the file.

    Raises:
        DataError: naming the first value beyond 2⁵³.
    """
    if values.dtype.kind in "iu" and values.itemsize == 8:
        [beyond] = np.nonzero((values > EXACT) | (values < -EXACT))
        if len(beyond):
            raise DataError(
                f"{where}: row {row + beyond[0]}, column {column!r} holds {values[beyond[0]]}, "
                "beyond 2⁵³, where float64 rounds whole numbers"
            )


def one_line(error: Exception) -> str:
    """The first line of an error message."""
    return str(error).splitlines()[0]
