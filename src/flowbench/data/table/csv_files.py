"""A user's table as comma-separated values."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import numpy as np
import pyarrow as pa
import pyarrow.csv
from numpy.typing import NDArray
from pyarrow.compute import SetLookupOptions, call_function

from flowbench.data.options import DataError
from flowbench.data.table.parts import Piece, one_line, way_out
from flowbench.data.text import first_fault, is_number

__all__ = ["CsvPart"]

MISSING = sorted({*pyarrow.csv.ConvertOptions().null_values, "None"})
SEPARATORS = ";\t| "


@dataclass
class CsvPart:
    """Comma-separated values below a header line; all columns spell missing values alike."""

    path: Path

    def __post_init__(self) -> None:
        with _open(self.path) as file:
            rows = csv.reader(file)
            self.names = next(rows, [])
            first = "".join(next(rows, [])) if len(self.names) == 1 else ""
        if not self.names:
            raise DataError(f"{self.path} is empty, expected a header line and rows")
        self._refuse_other_text(self.names)
        if any(mark in self.names[0] and mark in first for mark in SEPARATORS):
            raise DataError(
                f"{self.path}: expected columns separated by commas, but the first line is "
                f"{self.names[0]!r}"
            )

    def defaults(self) -> list[str]:
        """All columns.

        Raises:
            DataError: a column has no name, like the index that pandas writes, or all names are
                numbers, as in a file without a header.
        """
        if all(map(is_number, self.names)):
            first = ", ".join([*self.names[:3], "…"] if len(self.names) > 3 else self.names)
            raise DataError(
                f"{self.path}: the first line must be a header, but holds only numbers: "
                f"{first}; data.columns=[...] if these are names"
            )
        if "" in self.names:
            raise DataError(
                f"{self.path}: column {self.names.index('') + 1} has no name; write the file "
                "without its index (index=False), or name the columns by data.columns=[...]"
            )
        return self.names

    def pieces(self, numbers: Sequence[str], texts: Sequence[str]) -> Iterator[Piece]:
        """Some columns, block by block.

        Raises:
            DataError: a row is ragged, or a cell of a numeric column is not a number.
        """
        row = 1
        for batch in self._batches([*numbers, *texts]):
            columns = [_floats(batch.column(name), name, row, self.path) for name in numbers]
            labels = [list(map(_label, batch.column(name).to_pylist())) for name in texts]
            yield Piece(np.stack(columns, axis=1), labels)
            row += len(batch)

    def _batches(self, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """The cells of some columns, as written."""
        types = dict.fromkeys(names, pa.string())
        parse = pyarrow.csv.ParseOptions(newlines_in_values=True)
        convert = pyarrow.csv.ConvertOptions(column_types=types, include_columns=list(names))
        try:
            yield from pyarrow.csv.open_csv(
                self.path, parse_options=parse, convert_options=convert
            )
        except (pa.ArrowException, ValueError) as error:
            with _open(self.path) as file:
                fault = first_fault(self._rows(file), names=self.names, numeric=[])
            raise DataError(f"{self.path}: {fault or one_line(error)}") from error

    def _rows(self, file: TextIO) -> Iterator[list[str]]:
        rows = csv.reader(file)
        next(rows)
        for cells in rows:
            self._refuse_other_text(cells)
            yield cells

    def _refuse_other_text(self, cells: Sequence[str]) -> None:
        try:
            "".join(cells).encode()
        except UnicodeEncodeError as error:
            raise DataError(f"{self.path} is no UTF-8 text, expected a .csv in UTF-8") from error


def _open(path: Path) -> TextIO:
    """The text, in which bytes that are not UTF-8 become lone surrogates."""
    return path.open(newline="", encoding="utf-8-sig", errors="surrogateescape")


def _floats(column: pa.Array, name: str, row: int, path: Path) -> NDArray[np.float64]:
    cells = call_function("utf8_trim_whitespace", [column])
    missing = call_function("is_in", [cells], SetLookupOptions(pa.array(MISSING)))
    cells = call_function("if_else", [missing, pa.scalar(None, pa.string()), cells])
    try:
        return cells.cast(pa.float64()).to_numpy(zero_copy_only=False)
    except pa.ArrowInvalid as error:
        wrong = (
            (index, cell)
            for index, cell in enumerate(cells.to_pylist(), start=row)
            if cell is not None and not is_number(cell)
        )
        index, cell = next(wrong)
        raise DataError(
            f"{path}: row {index}, column {name!r} holds {cell!r}, expected a finite number"
            f"{way_out(name, cell)}"
        ) from error


def _label(cell: str) -> str | None:
    text = cell.strip()
    return None if text in MISSING else text
