"""One face for the files that hold a user's table: `.csv`, `.parquet`, `.npy`, `.npz`, `.h5`."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from numpy.typing import NDArray
from pyarrow.types import is_boolean, is_decimal, is_floating, is_integer, is_null

from flowbench.data.base import DataError
from flowbench.data.text import first_fault

__all__ = ["ArrayPart", "CsvPart", "ParquetPart", "Part", "open_table"]

SPLIT_KEYS = {"train": ("train",), "val": ("val", "validation"), "test": ("test",)}


class Part(Protocol):
    """Rows with named columns."""

    @property
    def names(self) -> list[str]:
        """Of all columns."""
        ...

    def numbers(self, columns: Sequence[str]) -> Iterator[NDArray[Any]]:
        """Some columns as `[rows, len(columns)]`, piece by piece."""
        ...


def open_table(path: Path, *, key: str | None) -> dict[str, Part]:
    """The parts of a file: `{"all": …}`, or `{"train": …, "val": …, "test": …}`.

    Args:
        path: the file; its extension says what it is.
        key: the array in an `.npz` or `.h5` that holds several.

    Raises:
        DataError: the extension is unknown, or the file is damaged or has no such array.
    """
    suffix = path.suffix.lower()
    try:
        match suffix:
            case ".csv":
                return {"all": CsvPart(path)}
            case ".parquet":
                return {"all": ParquetPart(path)}
            case ".npy":
                return {"all": ArrayPart(np.load(path, mmap_mode="r"), str(path))}
            case ".npz":
                with np.load(path) as file:
                    return _array_parts(file, list(file.keys()), path, key)
            case ".h5" | ".hdf5":
                with h5py.File(path, "r") as file:
                    keys = [str(name) for name in file if isinstance(file[name], h5py.Dataset)]
                    return _array_parts(file, keys, path, key)
    except (OSError, ValueError, EOFError, pa.ArrowException) as error:
        raise DataError(f"{path} is no readable {suffix} file: {_one_line(error)}") from error
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
    return {
        part: ArrayPart(np.asarray(file[name]), f"'{name}' of {path}")
        for part, name in chosen.items()
    }


@dataclass
class ArrayPart:
    """An array `[rows, columns]`; its columns are named by their numbers, "0" first."""

    array: NDArray[Any]
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

    def numbers(self, columns: Sequence[str]) -> Iterator[NDArray[Any]]:
        """Some columns, all rows at once; all columns of a memory-mapped array stay there."""
        dtype = np.float32 if self.array.dtype in (np.float16, np.float32) else np.float64
        chosen = [int(column) for column in columns]
        everything = chosen == list(range(self.array.shape[1]))
        yield np.asarray(self.array if everything else self.array[:, chosen], dtype)


@dataclass
class ParquetPart:
    """A Parquet file."""

    path: Path

    def __post_init__(self) -> None:
        self.names = list(pyarrow.parquet.read_schema(self.path).names)

    def numbers(self, columns: Sequence[str]) -> Iterator[NDArray[Any]]:
        """Some columns, batch after batch.

        Raises:
            DataError: a column holds something else than numbers.
        """
        row = 1
        with pyarrow.parquet.ParquetFile(self.path) as file:
            for batch in file.iter_batches(columns=list(dict.fromkeys(columns))):
                yield np.stack(
                    [_floats(batch.column(name), name, row, self.path) for name in columns], axis=1
                )
                row += len(batch)

    def texts(self, column: str) -> list[str]:
        """One column as text."""
        table = pyarrow.parquet.read_table(self.path, columns=[column])
        return [str(value) for value in table.column(column).to_pylist()]


@dataclass
class CsvPart:
    """Comma-separated values below a header line."""

    path: Path

    def __post_init__(self) -> None:
        with self.path.open(newline="", encoding="utf-8-sig", errors="replace") as file:
            self.names = next(csv.reader(file), [])
        if not self.names:
            raise DataError(f"{self.path} is empty, expected a header line and rows")

    def numbers(self, columns: Sequence[str]) -> Iterator[NDArray[Any]]:
        """Some columns, block after block.

        Raises:
            DataError: a row is ragged, or a cell of these columns is no number.
        """
        types = dict.fromkeys(columns, pa.float64())
        for batch in self._batches(types):
            yield np.stack(
                [batch.column(name).to_numpy(zero_copy_only=False) for name in columns], axis=1
            )

    def texts(self, column: str) -> list[str]:
        """One column as text."""
        return [
            value
            for batch in self._batches({column: pa.string()})
            for value in batch.column(column).to_pylist()
        ]

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
            raise DataError(f"{self.path}: {fault or _one_line(error)}") from error


def _floats(column: pa.Array, name: str, row: int, path: Path) -> NDArray[np.float64]:
    kind = column.type
    if not any(test(kind) for test in (is_floating, is_integer, is_boolean, is_decimal, is_null)):
        index, value = next((i, v) for i, v in enumerate(column.to_pylist()) if v is not None)
        raise DataError(
            f"{path}: row {row + index}, column {name!r} holds {value!r}, expected a finite number"
        )
    return column.cast(pa.float64()).to_numpy(zero_copy_only=False)


def _one_line(error: Exception) -> str:
    return str(error).splitlines()[0]
