"""One interface to the files of a user's table: text, sheets, `.parquet`, `.feather`, arrays."""

import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from flowbench.data.chunks import chunks
from flowbench.data.options import DataError
from flowbench.data.raw import SPLITS
from flowbench.data.readers import readable
from flowbench.data.split_names import splits_named
from flowbench.data.table.arrow_files import ArrowPart
from flowbench.data.table.csv_files import CsvPart
from flowbench.data.table.form import Form
from flowbench.data.table.marks import without_marks
from flowbench.data.table.npz_files import NpzArray
from flowbench.data.table.parts import Part, Piece, labels, rounded
from flowbench.data.table.text_stream import SHEETS, TEXTS, text_suffix

__all__ = ["ArrayPart", "has_names", "open_table"]

MOST_COLUMNS = 100_000
ARROW = (".parquet", ".feather", ".arrow")


def has_names(path: Path) -> bool:
    """Whether the columns of a file have names.

    Example:
        >>> has_names(Path("rows.csv.gz")), has_names(Path("rows.npy"))
        (True, False)
    """
    return text_suffix(path) in (*TEXTS, *SHEETS, *ARROW)


@contextmanager
def open_table(path: Path, *, key: str | None, form: Form) -> Iterator[dict[str, Part]]:
    """The parts of a file: `{"all": …}`, or `{"train": …, "val": …, "test": …}`.

    They are read in bounded memory.

    Args:
        path: the file; its extension gives the format.
        key: the array to read from an `.npz` or `.h5` that holds several, or the sheet.
        form: how the table is written.

    Raises:
        DataError: the extension is unknown, or the file is damaged or lacks the array.
    """
    with ExitStack() as stack:
        with readable(path):
            parts = _parts(path, key, form, stack)
        yield parts


def _parts(path: Path, key: str | None, form: Form, stack: ExitStack) -> dict[str, Part]:
    suffix = path.suffix.lower()
    if text_suffix(path) in (*TEXTS, *SHEETS):
        return {"all": CsvPart(path, form, key)}
    if suffix in ARROW:
        return {"all": ArrowPart(path, form)}
    match suffix:
        case ".npy":
            return {"all": ArrayPart(np.load(path, mmap_mode="r"), path, form)}
        case ".npz":
            archive = stack.enter_context(zipfile.ZipFile(path))
            members = [name for name in archive.namelist() if name.endswith(".npy")]
            arrays = {name.removesuffix(".npy"): NpzArray(archive, name) for name in members}
            return _array_parts(arrays, list(arrays), path, key, form)
        case ".h5" | ".hdf5":
            file = stack.enter_context(h5py.File(path, "r"))
            keys = [name for name in map(str, file) if _is_array(file, name)]
            return _array_parts(file, keys, path, key, form)
    known = ", ".join([*TEXTS, *SHEETS, *ARROW, ".npy", ".npz", ".h5", ".hdf5"])
    raise DataError(
        f"{path} has the extension {suffix!r}, expected one of {known}; text may be compressed "
        "(.csv.gz, .bz2, .xz, .zst, .zip)"
    )


def _is_array(file: h5py.File, name: str) -> bool:
    try:
        return isinstance(file[name], h5py.Dataset)
    except (KeyError, OSError, RuntimeError):  # a link to nothing, or to itself
        return False


def _array_parts(
    file: Mapping[str, Any], keys: list[str], path: Path, key: str | None, form: Form
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
    return {part: ArrayPart(file[name], path, form, name) for part, name in chosen.items()}


@dataclass
class ArrayPart:
    """An array `[rows, columns]`; its columns are named by their indices, from "0"."""

    array: Any  # a NumPy array, or an object sliced like one
    path: Path
    form: Form = field(default_factory=Form)
    name: str | None = None  # in a file of several arrays
    problems: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.where: str = str(self.path) if self.name is None else f"'{self.name}' of {self.path}"
        if self.array.ndim != 2 or self.array.dtype.kind not in "fiub":
            raise DataError(
                f"{self.where} holds {self.array.dtype} of shape {self.array.shape}, "
                "expected numbers in two dimensions, [rows, columns]"
            )
        self.rows: Any = self.array.shape[0]
        if self.array.shape[1] > MOST_COLUMNS:
            raise DataError(
                f"{self.where} has {self.array.shape[1]:,} columns, expected at most "
                f"{MOST_COLUMNS:,}"
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
            DataError: the file is damaged.
        """
        dtype = np.float32 if self.array.dtype in (np.float16, np.float32) else np.float64
        chosen = [int(name) for name in numbers]
        for rows in chunks(*self.array.shape):
            with readable(self.path):
                part = np.asarray(self.array[rows])
            beyond = {name: rounded(part[:, int(name)]) for name in numbers}
            piece = Piece(
                part[:, chosen].astype(dtype),
                [labels(part[:, int(name)].tolist()) for name in texts],
                {name: cells for name, cells in beyond.items() if cells},
            )
            yield without_marks(piece, self.form)
