"""One face for the files that hold a user's table: `.csv`, `.parquet`, `.npy`, `.npz`, `.h5`."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from numpy.typing import NDArray
from pyarrow.types import is_boolean, is_decimal, is_floating, is_integer, is_null

from flowbench.data.base import DataError
from flowbench.data.text import first_fault

__all__ = ["ArrayPart", "CsvPart", "ParquetPart", "Part", "Piece", "open_table"]

SPLIT_KEYS = {"train": ("train",), "val": ("val", "validation"), "test": ("test",)}
CHUNK_VALUES = 2**21


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

    def pieces(self, numbers: Sequence[str], texts: Sequence[str]) -> Iterator[Piece]:
        """Some columns, at least one of numbers, piece by piece."""
        ...


@contextmanager
def open_table(path: Path, *, key: str | None) -> Iterator[dict[str, Part]]:
    """The parts of a file: `{"all": …}`, or `{"train": …, "val": …, "test": …}`.

    They are read in bounded memory, except that an array in an `.npz` is read whole.

    Args:
        path: the file; its extension says what it is.
        key: the array in an `.npz` or `.h5` that holds several.

    Raises:
        DataError: the extension is unknown, or the file is damaged or has no such array.
    """
    with ExitStack() as stack:
        try:
            parts = _parts(path, key, stack)
        except (OSError, ValueError, EOFError, pa.ArrowException) as error:
            reason = f"is no readable {path.suffix.lower()} file: {_one_line(error)}"
            raise DataError(f"{path} {reason}") from error
        yield parts


def _parts(path: Path, key: str | None, stack: ExitStack) -> dict[str, Part]:
    match suffix := path.suffix.lower():
        case ".csv":
            return {"all": CsvPart(path)}
        case ".parquet":
            return {"all": ParquetPart(path)}
        case ".npy":
            return {"all": ArrayPart(np.load(path, mmap_mode="r"), str(path))}
        case ".npz":
            file = stack.enter_context(np.load(path))
            return _array_parts(file, list(file.keys()), path, key)
        case ".h5" | ".hdf5":
            file = stack.enter_context(h5py.File(path, "r"))
            keys = [str(name) for name in file if isinstance(file[name], h5py.Dataset)]
            return _array_parts(file, keys, path, key)
    known = ".csv, .parquet, .npy, .npz, .h5, .hdf5"
    raise DataError(f"{path} has the extension {suffix!r}, expected one of {known}")


def _array_parts(
    file: Mapping[str, Any], keys: list[str], path: Path, key: str | None
) -> dict[str, Part]:
    held = f"{path} holds the arrays {', '.join(sorted(keys)) or '(none)'}"
    if key is not None:
        if key not in file or not hasattr(file[key], "dtype"):
            raise DataError(f"data.key={key}: {held}")
        chosen = {"all": key}
    elif len(keys) == 1:
        chosen = {"all": keys[0]}
    else:
        chosen = {
            split: name for split, names in SPLIT_KEYS.items() for name in names if name in keys
        }
        if len(chosen) < 3:
            raise DataError(
                f"{held}, expected train, val and test, or data.key to name one of them"
            )
    return {part: ArrayPart(file[name], f"'{name}' of {path}") for part, name in chosen.items()}


@dataclass
class ArrayPart:
    """An array `[rows, columns]`; its columns are named by their numbers, "0" first."""

    array: Any  # a NumPy array, or what is sliced like one
    where: str

    def __post_init__(self) -> None:
        if self.array.ndim != 2 or self.array.dtype.kind not in "fiub":
            raise DataError(
                f"{self.where} holds {self.array.dtype} of shape {self.array.shape}, "
                "expected numbers in two dimensions, [rows, columns]"
            )

    @property
    def names(self) -> list[str]:
        """The numbers of the columns, from 0."""
        return [str(column) for column in range(self.array.shape[1])]

    def pieces(self, numbers: Sequence[str], texts: Sequence[str]) -> Iterator[Piece]:
        """Some columns, chunk after chunk."""
        dtype = np.float32 if self.array.dtype in (np.float16, np.float32) else np.float64
        chosen, labels = ([int(name) for name in names] for names in (numbers, texts))
        rows = max(1, CHUNK_VALUES // self.array.shape[1])
        for start in range(0, len(self.array), rows):
            part = np.asarray(self.array[start : start + rows])
            yield Piece(
                part[:, chosen].astype(dtype), [_labels(part[:, column]) for column in labels]
            )


@dataclass
class ParquetPart:
    """A Parquet file."""

    path: Path

    def __post_init__(self) -> None:
        self.names = list(pyarrow.parquet.read_schema(self.path).names)

    def pieces(self, numbers: Sequence[str], texts: Sequence[str]) -> Iterator[Piece]:
        """Some columns, batch after batch.

        Raises:
            DataError: a column of numbers holds something else.
        """
        row = 1
        with pyarrow.parquet.ParquetFile(self.path, pre_buffer=False) as file:  # else all of it
            for batch in file.iter_batches(columns=[*numbers, *texts]):
                columns = [_floats(batch.column(name), name, row, self.path) for name in numbers]
                labels = [
                    [None if value is None else str(value) for value in column.to_pylist()]
                    for column in map(batch.column, texts)
                ]
                yield Piece(np.stack(columns, axis=1), labels)
                row += len(batch)


@dataclass
class CsvPart:
    """Comma-separated values below a header line."""

    path: Path

    def __post_init__(self) -> None:
        with self.path.open(newline="", encoding="utf-8-sig", errors="replace") as file:
            self.names = next(csv.reader(file), [])
        if not self.names:
            raise DataError(f"{self.path} is empty, expected a header line and rows")

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
            fault = fault or _one_line(error)
            texts = [name for name in numeric if f"column {name!r} holds" in fault]
            way_out = _way_out(texts[0]) if texts else ""
            raise DataError(f"{self.path}: {fault}{way_out}") from error


def _floats(column: pa.Array, name: str, row: int, path: Path) -> NDArray[np.float64]:
    kind = column.type
    if not any(test(kind) for test in (is_floating, is_integer, is_boolean, is_decimal, is_null)):
        index, value = next((i, v) for i, v in enumerate(column.to_pylist()) if v is not None)
        raise DataError(
            f"{path}: row {row + index}, column {name!r} holds {value!r}, "
            f"expected a finite number{_way_out(name)}"
        )
    return column.cast(pa.float64()).to_numpy(zero_copy_only=False)


def _way_out(name: str) -> str:
    return (
        f"; data.categorical_columns=[{name}] makes its words the context, and data.columns=[...] "
        "without it leaves it out"
    )


def _labels(column: NDArray[Any]) -> list[str | None]:
    """Numbers as text, missing ones as None."""
    return [None if value != value else str(value) for value in column.tolist()]


def _one_line(error: Exception) -> str:
    return str(error).splitlines()[0]
