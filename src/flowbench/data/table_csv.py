"""A user's table as comma-separated values."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv

from flowbench.data.base import DataError
from flowbench.data.table_parts import Piece, one_line, way_out
from flowbench.data.text import first_fault, is_number

__all__ = ["CsvPart"]


@dataclass
class CsvPart:
    """Comma-separated values below a header line."""

    path: Path

    def __post_init__(self) -> None:
        with self.path.open(newline="", encoding="utf-8-sig", errors="replace") as file:
            self.names = next(csv.reader(file), [])
        if not self.names:
            raise DataError(f"{self.path} is empty, expected a header line and rows")

    def defaults(self) -> list[str]:
        """All columns.

        Raises:
            DataError: one has no name, as the index that pandas writes, or all are numbers, as of
                a file without a header.
        """
        if all(map(is_number, self.names)):
            first = ", ".join(self.names[:3])
            raise DataError(
                f"{self.path}: the first line must be a header, but holds only numbers: "
                f"{first}, …; data.columns=[...] if these are names"
            )
        if "" in self.names:
            raise DataError(
                f"{self.path}: column {self.names.index('') + 1} has no name; write the file without "
                "its index (index=False), or name the columns by data.columns=[...]"
            )
        return self.names

    def pieces(self, numbers: Sequence[str], texts: Sequence[str]) -> Iterator[Piece]:
        """Some columns, block after block.

        Raises:
            DataError: a row is ragged, or a cell of the columns of numbers is no number.
        """
        types = dict.fromkeys(numbers, pa.float64()) | dict.fromkeys(texts, pa.string())
        for batch in self._batches(types):
            columns = [batch.column(name).to_numpy(zero_copy_only=False) for name in numbers]
            labels = [batch.column(name).to_pylist() for name in texts]
            yield Piece(np.stack(columns, axis=1), labels)

    def _batches(self, types: dict[str, pa.DataType]) -> Iterator[pa.RecordBatch]:
        options = pyarrow.csv.ConvertOptions(column_types=types, include_columns=list(types))
        try:
            yield from pyarrow.csv.open_csv(self.path, convert_options=options)
        except (pa.ArrowException, ValueError) as error:
            numeric = [name for name, dtype in types.items() if dtype == pa.float64()]
            with self.path.open(newline="", encoding="utf-8-sig", errors="replace") as file:
                rows = csv.reader(file)
                next(rows)
                fault = first_fault(rows, names=self.names, numeric=numeric)
            fault = fault or one_line(error)
            texts = [name for name in numeric if f"column {name!r} holds" in fault]
            hint = way_out(texts[0]) if texts else ""
            raise DataError(f"{self.path}: {fault}{hint}") from error
