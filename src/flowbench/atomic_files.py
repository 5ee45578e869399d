"""Atomic file writes: a reader sees a file whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flowbench.disk import naming_full_disk

__all__ = ["replacing", "write_text"]


@contextmanager
def replacing(path: Path, *, durable: bool = True) -> Iterator[Path]:
    """A temporary path that replaces a file at the end of the block, unless the block fails.

    It is a hidden file in the same folder, with the same extension.

    Args:
        path: of the file.
        durable: survive a power cut too, by waiting for the disk.

    Raises:
        OSError: the file cannot be written; the error names it.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "result.json"
        >>> with replacing(path) as part:
        ...     _ = part.write_text("{}")
        >>> [file.name for file in path.parent.iterdir()]
        ['result.json']
    """
    part = path.with_name(f".{path.stem}.part{path.suffix}")
    try:
        with naming_full_disk(path):
            if part.is_symlink():  # it would lead the text elsewhere
                part.unlink()
            yield part
            if durable:
                with part.open("rb") as file:
                    os.fsync(file.fileno())
            os.replace(part, path)
    except BaseException as error:
        part.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:  # e.g. a full disk
            raise OSError(error.errno, error.strerror or str(error), str(path)) from error
        raise


def write_text(path: Path, text: str) -> None:
    """Write a file atomically, in UTF-8."""
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8")
