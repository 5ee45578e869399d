"""Room on a disk is reserved before it is used: a full disk is an error, not a signal.

A memory-mapped file without allocated blocks ends the process (SIGBUS) where the disk is full.
"""

import errno
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import DTypeLike

__all__ = [
    "FullDiskError",
    "free_bytes",
    "mapped_array",
    "naming_full_disk",
    "require_space",
    "reserve",
    "shown_size",
    "write_header",
]

BLOCK = 2**20


class FullDiskError(OSError):
    """There is no room for a file; it names the file, what is needed and what is free."""

    @classmethod
    def of(cls, path: str | Path, size: int | None = None) -> "FullDiskError":
        """The error of a path.

        Args:
            path: of the file or its folder.
            size: needed, in bytes, if known.
        """
        needed = "" if size is None else f"{shown_size(size)} needed, "
        return cls(errno.ENOSPC, f"the disk is full ({needed}{_free(path)})", str(path))


def mapped_array(path: Path, *, dtype: DTypeLike, shape: Sequence[int]) -> np.memmap[Any, Any]:
    """A new `.npy` file as a writable array, all of its blocks allocated.

    Raises:
        FullDiskError: it does not fit on the disk; nothing of it is left there.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "x.npy"
        >>> x = mapped_array(path, dtype=np.float32, shape=(2, 3))
        >>> x[:] = 1
        >>> np.load(path).sum()
        np.float32(6.0)
    """
    size = int(np.prod(shape, dtype=object)) * np.dtype(dtype).itemsize
    require_space(path, size)
    array = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=tuple(shape))
    try:
        with path.open("r+b") as file:
            reserve(file.fileno(), path.stat().st_size, path=path)
    except OSError:
        path.unlink()
        raise
    return array


def write_header(file: IO[bytes], dtype: DTypeLike, shape: Sequence[int]) -> None:
    """The header of a `.npy` file, as long for few rows as for many: rows may be appended.

    Example:
        >>> import io
        >>> lengths = set()
        >>> for rows in (0, 10**12):
        ...     file = io.BytesIO()
        ...     write_header(file, np.float32, (rows, 3))
        ...     lengths.add(file.tell())
        >>> lengths
        {128}
    """
    described = np.lib.format.dtype_to_descr(np.dtype(dtype))
    header = {"descr": described, "fortran_order": False, "shape": tuple(shape)}
    np.lib.format.write_array_header_1_0(file, header)


def reserve(file: int, size: int, *, path: str | Path) -> None:
    """Allocate the blocks of an open file, whose first bytes may have been written.

    Args:
        file: its descriptor.
        size: in bytes.
        path: of the file, or its folder, for the error.

    Raises:
        FullDiskError: it does not fit on the disk.
    """
    with naming_full_disk(path, size):
        if hasattr(os, "posix_fallocate"):
            if size:
                os.posix_fallocate(file, 0, size)
            return
        for start in range(0, size, BLOCK):
            length = min(BLOCK, size - start)
            os.pwrite(file, os.pread(file, length, start).ljust(length, b"\0"), start)


def require_space(path: str | Path, size: int) -> None:
    """Refuse to begin what does not fit on the disk.

    Args:
        path: of a file or folder, which need not exist.
        size: needed there, in bytes.

    Raises:
        FullDiskError: there is too little room.
    """
    if free_bytes(path) < size:
        raise FullDiskError.of(path, size)


@contextmanager
def naming_full_disk(path: str | Path, size: int | None = None) -> Iterator[None]:
    """Give the errors of a full disk a path, what was needed, and what is free.

    Args:
        path: of what is written; used where the error names none.
        size: needed, in bytes, if known.

    Raises:
        FullDiskError: the disk is full.
        OSError: any other error of the block.
    """
    try:
        yield
    except FullDiskError:
        raise
    except OSError as error:
        of_numpy = error.errno is None and "requested and" in str(error)
        if of_numpy or error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise FullDiskError.of(error.filename or path, size) from error
        raise


def shown_size(size: float) -> str:
    """A number of bytes in human-readable form.

    Example:
        >>> shown_size(857_000_000), shown_size(4_542)
        ('857 MB', '4.54 kB')
    """
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} TB"


def _free(path: str | Path) -> str:
    return f"{shown_size(free_bytes(path))} free"


def free_bytes(path: str | Path) -> int:
    """What is free on the disk of a file or folder, which need not exist."""
    whole = Path(path).absolute()
    place = next(parent for parent in (whole, *whole.parents) if parent.exists())
    return shutil.disk_usage(place).free
