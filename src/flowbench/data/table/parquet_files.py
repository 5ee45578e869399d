"""A user's table as a Parquet file."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
from numpy.typing import NDArray
from pyarrow.types import is_boolean, is_decimal, is_floating, is_integer, is_null

from flowbench.data.options import DataError
from flowbench.data.table.parts import Piece, labels, readable, refuse_rounded, way_out

__all__ = ["ParquetPart"]


@dataclass
class ParquetPart:
    """A Parquet file."""

    path: Path

    def __post_init__(self) -> None:
        schema = pyarrow.parquet.read_schema(self.path)
        self.names = list(schema.names)
        self.index = (schema.pandas_metadata or {}).get("index_columns", [])

    def defaults(self) -> list[str]:
        """All columns except those that pandas wrote as the index of a data frame."""
        return [name for name in self.names if name not in self.index]

    def pieces(self, numbers: Sequence[str], texts: Sequence[str]) -> Iterator[Piece]:
        """Some columns, batch by batch.

        Raises:
            DataError: the file is damaged, or a numeric column holds something else.
        """
        row = 1
        with (
            readable(self.path),
            pyarrow.parquet.ParquetFile(
                self.path,
                pre_buffer=False,  # otherwise the whole file is read
                page_checksum_verification=True,
            ) as file,
        ):
            for batch in file.iter_batches(columns=[*numbers, *texts]):
                columns = [_floats(batch.column(name), name, row, self.path) for name in numbers]
                words = [labels(batch.column(name).to_pylist()) for name in texts]
                yield Piece(np.stack(columns, axis=1), words)
                row += len(batch)


def _floats(column: pa.Array, name: str, row: int, path: Path) -> NDArray[np.float64]:
    kind = column.type
    if not any(test(kind) for test in (is_floating, is_integer, is_boolean, is_decimal, is_null)):
        for index, value in enumerate(column.to_pylist(), start=row):
            if value is not None:
                raise DataError(
                    f"{path}: row {index}, column {name!r} holds {value!r}, "
                    f"expected a finite number{way_out(name, value)}"
                )
        return np.full(len(column), np.nan)
    if is_integer(kind):
        whole = column.fill_null(0).to_numpy(zero_copy_only=False)
        refuse_rounded(whole, row=row, column=name, where=str(path))
    return column.cast(pa.float64()).to_numpy(zero_copy_only=False)
