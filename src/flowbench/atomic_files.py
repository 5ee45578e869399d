"""Files that a reader sees whole or not at all, whatever happens while they are written."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["replacing", "write_text"]


@contextmanager
def replacing(path: Path, *, durable: bool = True) -> Iterator[Path]:
    """Where to write what takes the place of a file at the end of the block, unless it fails.

    It lies beside the file, hidden, with the same extension.

    Args:
        path: of the file.
        durable: outlast a power cut as well, which waits for the disk.

    Raises:
        OSError: it cannot be written; the error names the file.

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
        yield part
        if durable:
            with part.open("rb") as file:
                os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException as error:
        part.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:  # of a write: a full disk, say
            raise OSError(error.errno, error.strerror or str(error), str(path)) from error
        raise


def write_text(path: Path, text: str) -> None:
    """Write a file as a whole, in UTF-8."""
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8")
