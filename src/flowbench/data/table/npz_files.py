"""Arrays inside of an `.npz`, read in chunks."""

import math
import zipfile
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from flowbench import memory
from flowbench.data.options import DataError

__all__ = ["NpzArray"]


@dataclass
class NpzArray:
    """An array in an open `.npz`, of which slices of rows are read one after the other.

    Raises:
        DataError: its header claims another size than it has.
    """

    archive: zipfile.ZipFile
    member: str

    def __post_init__(self) -> None:
        with closing(self.archive.open(self.member)) as file:
            self.shape, self.fortran, self.dtype = _header(file)
            held = self.archive.getinfo(self.member).file_size - file.tell()
        self.ndim: int = len(self.shape)
        claimed = math.prod(self.shape) * self.dtype.itemsize
        if (claimed != held or min(self.shape, default=0) < 0) and not self.dtype.hasobject:
            raise DataError(
                f"{self.archive.filename}: '{self.member}' claims {self.dtype} of shape "
                f"{self.shape}, which is {claimed} bytes, but holds {held}"
            )
        self.file: Any = None
        self.next = 0
        self.whole: NDArray[Any] | None = None

    def __getitem__(self, rows: slice) -> NDArray[Any]:
        """Rows; reading starts again if they are not the next ones."""
        if self.fortran:
            return self._all()[rows]
        start, stop, _ = rows.indices(self.shape[0])
        if self.file is None or start != self.next:
            self.file = self.archive.open(self.member)
            _header(self.file)
            width = math.prod(self.shape[1:]) * self.dtype.itemsize
            self.file.seek(self.file.tell() + start * width)
        count = max(0, stop - start) * math.prod(self.shape[1:])
        values = np.frombuffer(_read(self.file, count * self.dtype.itemsize), self.dtype)
        self.next: int = stop
        return values.reshape(-1, *self.shape[1:])

    def _all(self) -> NDArray[Any]:
        """The whole array, since one in Fortran order has no rows that follow each other."""
        if self.whole is None:
            size = math.prod(self.shape) * self.dtype.itemsize
            if not memory.fits(2 * size, torch.device("cpu")):
                raise DataError(
                    f"{self.archive.filename}: '{self.member}' is {size / 2**30:.1f} GiB in "
                    "Fortran order, too much to be turned; write it in C order"
                )
            with closing(self.archive.open(self.member)) as file:
                self.whole = np.lib.format.read_array(file, allow_pickle=False)
        return self.whole


def _header(file: Any) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    major, _ = np.lib.format.read_magic(file)
    if major == 1:
        return np.lib.format.read_array_header_1_0(file)
    return np.lib.format.read_array_header_2_0(file)


def _read(file: Any, size: int) -> bytes:
    found = file.read(size)
    if len(found) != size:
        raise EOFError(f"{size} bytes were expected, but only {len(found)} are left")
    return found
