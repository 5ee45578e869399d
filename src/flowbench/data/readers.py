"""One net behind all readers of files: whatever a damaged file raises becomes one sentence."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flowbench.data.options import DataError

__all__ = ["one_line", "readable"]


@contextmanager
def readable(path: Path, kind: str = "") -> Iterator[None]:
    """Turn any error of a reader within the block into one sentence that names the file.

    Args:
        path: the file that is read.
        kind: what it should be, as in "no readable .csv file"; empty: its extension.

    Raises:
        DataError: the file cannot be read.

    Example:
        >>> with readable(Path("t.npy")):
        ...     raise EOFError
        Traceback (most recent call last):
        flowbench.data.options.DataError: t.npy is not a readable .npy file: EOFError
    """
    try:
        yield
    except DataError:
        raise
    except Exception as error:
        kind = kind or path.suffix
        raise DataError(f"{path} is not a readable {kind} file: {one_line(error)}") from error


def one_line(error: Exception) -> str:
    r"""The first line of an error message, or the name of an error without one, cut at a width.

    Example:
        >>> one_line(ValueError("wrong\nand more")), one_line(EOFError())
        ('wrong', 'EOFError')
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    line = lines[0] if lines else type(error).__name__
    return line if len(line) <= 200 else f"{line[:200]}…"
