"""Numeric text: read fast and, if that fails, reread slowly to name the invalid cell."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flowbench.data.options import DataError

__all__ = ["first_fault", "is_number", "refuse_cells", "stream_numbers"]


def stream_numbers(
    path: Path, out: Path, *, columns: int, skip: int = 0, chunk_rows: int = 200_000
) -> None:
    """Write whitespace-separated numbers below a header line as raw float64, in bounded memory.

    Args:
        path: the text file.
        out: where the numbers are written, row by row.
        columns: number of columns that each row must have.
        skip: number of leading columns that are checked but not written.
        chunk_rows: rows held in memory at a time.

    Raises:
        DataError: a row has the wrong number of fields or a cell that is not a finite number, or
            the header is missing.
    """
    import pandas as pd  # slow to import

    with path.open(encoding="utf-8", errors="replace") as text:
        header = text.readline().split()
    if all(is_number(cell) for cell in header):
        raise DataError(f"{path}: the first line must be a header, but holds {' '.join(header)!r}")
    try:
        reader = pd.read_csv(
            path, sep=r"\s+", header=None, skiprows=1, dtype=np.float64, chunksize=chunk_rows
        )
        with out.open("wb") as file:
            for table in reader:
                chunk = table.to_numpy()
                if chunk.shape[1] != columns or not np.isfinite(chunk).all():
                    raise ValueError("a row is too short or too long, or a value is not finite")
                np.ascontiguousarray(chunk[:, skip:]).tofile(file)
    except ValueError as error:
        names = [str(column + 1) for column in range(columns)]
        with path.open(encoding="utf-8", errors="replace") as text:
            next(text)
            fault = first_fault((line.split() for line in text), names=names, numeric=names)
        raise DataError(f"{path}: {fault or error}") from error


def first_fault(
    rows: Iterable[Sequence[str]], *, names: Sequence[str], numeric: Sequence[str]
) -> str | None:
    """The first row with a wrong number of fields, or a cell that should be a finite number.

    Args:
        rows: the fields of each row; empty rows are ignored.
        names: names of the columns.
        numeric: columns that must hold finite numbers.

    Example:
        >>> first_fault([["1", "2"], ["3", "x"]], names=["a", "b"], numeric=["b"])
        "row 2, column 'b' holds 'x', expected a finite number"
        >>> first_fault([["1"]], names=["a", "b"], numeric=["a"])
        'row 1 has 1 field, expected 2'
    """
    wanted = [(column, name) for column, name in enumerate(names) if name in set(numeric)]
    for row, cells in enumerate((cells for cells in rows if cells), start=1):
        if len(cells) != len(names):
            plural = "" if len(cells) == 1 else "s"
            return f"row {row} has {len(cells)} field{plural}, expected {len(names)}"
        for column, name in wanted:
            if not is_number(cells[column]):
                found = f"row {row}, column {name!r} holds {cells[column]!r}"
                return f"{found}, expected a finite number"
    return None


def refuse_cells(
    cells: NDArray[np.intp],
    columns: Sequence[Sequence[Any]],
    *,
    names: Sequence[str],
    first: int,
    where: str,
) -> None:
    """Refuse cells that do not hold a finite number, if there are any.

    Args:
        cells: row and column of each cell, from 0, `[n, 2]`.
        columns: the values of each column.
        names: names of the columns.
        first: the number of row 0 in messages.
        where: the file.

    Raises:
        DataError: naming the first three cells.
    """
    if len(cells):
        told = "; ".join(
            f"row {first + row}, column {names[column]!r} is {columns[column][row]}"
            for row, column in cells[:3].tolist()
        )
        more = " and more" if len(cells) > 3 else ""
        raise DataError(f"{where}: every value must be finite, but {told}{more}")


def is_number(text: str) -> bool:
    """Whether a text is a finite number.

    Example:
        >>> is_number(" -1.5e3"), is_number("nan"), is_number("1_000")
        (True, False, False)
    """
    if "_" in text or not text.isascii():  # accepted by Python only
        return False
    try:
        return bool(np.isfinite(float(text)))
    except ValueError:
        return False
