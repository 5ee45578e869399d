"""What commands print: plain warnings, and a sentence where nothing can be printed."""

import codecs
import errno
import io
import os
import sys
import warnings
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, NoReturn, ParamSpec, TypeVar

__all__ = ["in_console", "is_own", "say", "show_warning"]

PACKAGE = Path(__file__).resolve().parent
STDOUT = "standard output"
OF_A_STREAM = {errno.EPIPE, errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EBADF}
PLAIN = "flowbench.plain"
INSTEAD = {"−": "-", "±": "+-", "→": "->", "…": "...", "×": "x", "≤": "<=", "·": "*", "–": "-"}
P = ParamSpec("P")
T = TypeVar("T")


def _written_plainly(error: UnicodeError) -> tuple[str, int]:
    """What stands for characters that a stream's encoding lacks, such as − in Latin-1."""
    assert isinstance(error, UnicodeEncodeError)
    lacking = error.object[error.start : error.end]
    return "".join(INSTEAD.get(one, "?") for one in lacking), error.end


codecs.register_error(PLAIN, _written_plainly)


def say(text: str) -> None:
    """Print a text at once.

    Raises:
        OSError: standard output takes no more, e.g. a full disk or a closed pipe.
    """
    try:
        print(text, flush=True)
    except OSError as error:
        raise _of_stdout(error) from error


def in_console(main: Callable[P, T]) -> Callable[P, T]:
    """Let a command print warnings as sentences, and end in one where it cannot work or print.

    The working directory must exist, and all that was printed must have arrived.

    Raises:
        SystemExit: with the sentence.
    """

    @wraps(main)
    def wrapped(*positional: P.args, **named: P.kwargs) -> T:
        try:
            os.getcwd()
        except OSError:
            _leave("the working directory no longer exists; change to one that does")
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors=PLAIN)
        with warnings.catch_warnings():
            warnings.showwarning = show_warning
            try:
                result = main(*positional, **named)
                if sys.stdout is not None:  # it is, where its file is closed
                    sys.stdout.flush()
            except OSError as error:
                if error.filename is None and error.errno in OF_A_STREAM:
                    error = _of_stdout(error)
                if error.filename != STDOUT:
                    raise
                _leave(f"{STDOUT}: {error.strerror}")
        return result

    return wrapped


def is_own(filename: str) -> bool:
    """Whether a file of code belongs to flowbench.

    Example:
        >>> is_own(__file__), is_own(os.__file__)
        (True, False)
    """
    return PACKAGE in Path(filename).resolve().parents


def show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: Any = None,
    line: str | None = None,
) -> None:
    """On stderr: our own as they are, those of another package in one line that names it.

    Those of the Trainer, and those for developers, are left out.
    """
    if issubclass(category, DeprecationWarning | FutureWarning | PendingDeprecationWarning):
        return
    own = is_own(filename)
    package = Path(filename).parent.name
    if own or not {"pytorch_lightning", "lightning_fabric"}.intersection(Path(filename).parts):
        told = str(message) if own else f"{' '.join(str(message).split())} ({package})"
        print(f"warning: {told}", file=sys.stderr)


def _of_stdout(error: OSError) -> OSError:
    """The error with its place, after which nothing more is printed."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)  # else Python would try once more at the end
    return OSError(error.errno, error.strerror or str(error), STDOUT)


def _leave(sentence: str) -> NoReturn:
    sys.exit(sentence)
