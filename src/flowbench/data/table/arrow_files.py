"""A user's table as a Parquet or Feather file."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
from numpy.typing import NDArray
from pyarrow.types import (
    is_boolean,
    is_decimal,
    is_dictionary,
    is_floating,
    is_integer,
    is_large_string,
    is_null,
    is_string,
    is_string_view,
)

from flowbench.data.readers import readable
from flowbench.data.table.cells import NumberColumn
from flowbench.data.table.form import Form
from flowbench.data.table.marks import without_marks
from flowbench.data.table.parts import Piece, labels, rounded

__all__ = ["ArrowPart"]

NUMBERS = (is_floating, is_integer, is_boolean, is_decimal, is_null)
TEXTS = (is_string, is_large_string, is_string_view)


@dataclass
class ArrowPart:
    """A Parquet file, or a Feather file (Arrow's IPC format).

    Text in a column of numbers is read as in a `.csv`.
    """

    path: Path
    form: Form = field(default_factory=Form)
    problems: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        with _open(self.path) as (schema, rows, _):
            self.rows = rows
            self.names: list[str] = list(schema.names)
            self.index = (schema.pandas_metadata or {}).get("index_columns", [])

    def defaults(self) -> list[str]:
        """All columns except those that pandas wrote as the index of a data frame."""
        return [name for name in self.names if name not in self.index]

    def pieces(self, numbers: Sequence[str], texts: Sequence[str]) -> Iterator[Piece]:
        """Some columns, batch by batch."""
        columns = [NumberColumn(self.form) for _ in numbers]
        with readable(self.path), _open(self.path) as (_, _, file):
            for batch in _batches(file, [*numbers, *texts]):
                read = [
                    _floats(batch.column(name), column)
                    for column, name in zip(columns, numbers, strict=True)
                ]
                wrong = {name: bad for name, (_, bad) in zip(numbers, read, strict=True) if bad}
                words = [labels(batch.column(name).to_pylist()) for name in texts]
                values = np.stack([values for values, _ in read], axis=1)
                yield without_marks(Piece(values, words, wrong), self.form)


File = pyarrow.parquet.ParquetFile | pa.RecordBatchFileReader


@contextmanager
def _open(path: Path) -> Iterator[tuple[pa.Schema, int | None, File]]:
    """The schema, the number of rows if it is told, and the open file."""
    if path.suffix.lower() == ".parquet":
        with pyarrow.parquet.ParquetFile(
            path,
            pre_buffer=False,  # otherwise the whole file is read
            page_checksum_verification=True,
        ) as file:
            yield file.schema_arrow, file.metadata.num_rows, file
    else:
        with pa.memory_map(str(path)) as source, pa.ipc.open_file(source) as file:
            yield file.schema, None, file


def _batches(file: File, names: list[str]) -> Iterable[pa.RecordBatch]:
    if isinstance(file, pyarrow.parquet.ParquetFile):
        return file.iter_batches(columns=names)
    batches = map(file.get_batch, range(file.num_record_batches))
    return (batch.select(names) for batch in batches)


def _floats(column: pa.Array, texts: NumberColumn) -> tuple[NDArray[np.float64], dict[int, str]]:
    if is_dictionary(column.type):
        column = column.dictionary_decode()
    kind = column.type
    if any(test(kind) for test in TEXTS):
        values, wrong = texts.read(column.cast(pa.large_string()))
        return values, dict(wrong)
    if not any(test(kind) for test in NUMBERS):
        cells = enumerate(column.to_pylist())
        wrong = {index: str(value) for index, value in cells if value is not None}
        return np.full(len(column), np.nan), wrong
    beyond = {}
    if is_integer(kind):
        beyond = rounded(column.fill_null(0).to_numpy(zero_copy_only=False))
        if beyond:
            column = column.cast(pa.float64(), safe=False)
    return column.cast(pa.float64()).to_numpy(zero_copy_only=False), beyond
