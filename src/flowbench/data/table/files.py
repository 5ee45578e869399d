"""One interface to the files of a user's table: `.csv`, `.parquet`, `.npy`, `.npz`, `.h5`."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from flowbench.data.base import SPLITS, DataError
from flowbench.data.chunks import chunks
from flowbench.data.split_names import splits_named
from flowbench.data.table.csv_files import CsvPart
from flowbench.data.table.parquet_files import ParquetPart
from flowbench.data.table.parts import (
    Part,
    Piece,
    labels,
    readable,
    refuse_rounded,
)

__all__ = ["ArrayPart", "open_table"]


@contextmanager
def open_table(path: Path, *, key: str | None) -> Iterator[dict[str, Part]]:
    """The parts of a file: `{"all": …}`, or `{"train": …, "val": …, "test": …}`.

    They are read in bounded memory, except for arrays in an `.npz`, which are read whole.

    Args:
        path: the file; its extension gives the format.
        key: the array to read from an `.npz` or `.h5` that holds several.

    Raises:
        DataError: the extension is unknown, or the file is damaged or lacks the array.
    """
    with ExitStack() as stack:
        with readable(path):
            parts = _parts(path, key, stack)
        yield parts


def _parts(path: Path, key: str | None, stack: ExitStack) -> dict[str, Part]:
    match suffix := path.suffix.lower():
        case ".csv":
            return {"all": CsvPart(path)}
        case ".parquet":
            return {"all": ParquetPart(path)}
        case ".npy":
            return {"all": ArrayPart(np.load(path, mmap_mode="r"), path)}
        case ".npz":
            file = stack.enter_context(np.load(path))
            return _array_parts(file, list(file.keys()), path, key)
        case ".h5" | ".hdf5":
            file = stack.enter_context(h5py.File(path, "r"))
            keys = [str(name) for name in file if isinstance(file.get(name), h5py.Dataset)]
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
        named = splits_named(keys, where=path)
        chosen = {split: named[split] for split in SPLITS if split in named}
        if len(chosen) < 3:
            raise DataError(
                f"{held}, expected train, val and test, or data.key to name one of them"
            )
    return {part: ArrayPart(file[name], path, name) for part, name in chosen.items()}


@dataclass
class ArrayPart:
    """An array `[rows, columns]`; its columns are named by their indices, from "0"."""

    array: Any  # a NumPy array, or an object sliced like one
    path: Path
    name: str | None = None  # in a file of several arrays

    def __post_init__(self) -> None:
        self.where = str(self.path) if self.name is None else f"'{self.name}' of {self.path}"
        if self.array.ndim != 2 or self.array.dtype.kind not in "fiub":
            raise DataError(
                f"{self.where} holds {self.array.dtype} of shape {self.array.shape}, "
                "expected numbers in two dimensions, [rows, columns]"
            )

    @property
    def names(self) -> list[str]:
        """The indices of the columns, from 0."""
        return [str(column) for column in range(self.array.shape[1])]

    def defaults(self) -> list[str]:
        """All columns."""
        return self.names

    def pieces(self, numbers: Sequence[str], texts: Sequence[str]) -> Iterator[Piece]:
        """Some columns, chunk by chunk.

        Raises:
            DataError: the file is damaged, or holds integers that float64 would round.
        """
        dtype = np.float32 if self.array.dtype in (np.float16, np.float32) else np.float64
        chosen = [int(name) for name in numbers]
        for rows in chunks(*self.array.shape):
            with readable(self.path):
                part = np.asarray(self.array[rows])
            for name in numbers:
                row = rows.start + 1
                refuse_rounded(part[:, int(name)], row=row, column=name, where=self.where)
            yield Piece(
                part[:, chosen].astype(dtype),
                [labels(part[:, int(name)].tolist()) for name in texts],
            )
