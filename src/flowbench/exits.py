"""How a command ends: its exit code, and one sentence where it was not done."""

import errno
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

__all__ = [
    "DONE",
    "FAILED",
    "INTERRUPTED",
    "MISTAKE",
    "SAVED",
    "WAY_OUT",
    "Exit",
    "exit_code",
    "explained",
]

DONE, FAILED, MISTAKE = 0, 1, 2
SAVED = 75  # interrupted; the same command goes on from there
INTERRUPTED = 130  # by Ctrl-C, before anything could be saved
WAY_OUT = "restore it, or start over with overwrite=true"  # where a file of a run is damaged
OF_THE_MACHINE = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ENOMEM, errno.EMFILE, errno.ENFILE}


class Exit(SystemExit):
    """Ends the command with a sentence on stderr.

    Args:
        sentence: what is wrong, and what to do.
        code: the exit code.

    Example:
        >>> str(Exit("--out is missing")), Exit("--out is missing").code
        ('--out is missing', 2)
    """

    def __init__(self, sentence: str, code: int = MISTAKE) -> None:
        super().__init__(code)
        self.sentence = sentence

    def __str__(self) -> str:
        return self.sentence


def exit_code(error: BaseException) -> int:
    """2 for an error that the command or its data are to blame for, else 1.

    A full disk is a failure, as are a dead rank, too little time and numbers that are not finite.

    Example:
        >>> exit_code(FileNotFoundError(2, "No such file")), exit_code(OverflowError())
        (2, 1)
    """
    of_the_machine = isinstance(error, OSError) and error.errno in OF_THE_MACHINE
    failed = of_the_machine or isinstance(error, ArithmeticError | ConnectionError | TimeoutError)
    return FAILED if failed else MISTAKE


@contextmanager
def explained(*expected: type[Exception], interrupted: str = "interrupted") -> Iterator[None]:
    """The body of a command: expected errors and Ctrl-C end it with a sentence and a code.

    Args:
        expected: errors whose message tells the user what to do, besides `Exit`.
        interrupted: the sentence after Ctrl-C, also where a library has turned it into an error.

    Raises:
        Exit: the body raised one of them.

    Example:
        >>> with explained(ValueError):
        ...     raise ValueError("--seed=-1: expected a whole number, at least 0")
        Traceback (most recent call last):
        flowbench.exits.Exit: --seed=-1: expected a whole number, at least 0
    """
    with _noticed_interrupts() as interrupts:
        try:
            yield
        except (Exception, Exit, KeyboardInterrupt) as error:
            if interrupts or isinstance(error, KeyboardInterrupt):
                _tell(Exit(interrupted, INTERRUPTED), error)
            if isinstance(error, Exit):
                _tell(error)
            if isinstance(error, expected):
                _tell(Exit(str(error), exit_code(error)), error)
            raise


@contextmanager
def _noticed_interrupts() -> Iterator[list[int]]:
    """The signals of Ctrl-C so far; each still raises `KeyboardInterrupt`."""
    seen: list[int] = []
    before = signal.getsignal(signal.SIGINT)
    if before is not signal.default_int_handler:  # a caller's own, or not the main thread
        yield seen
        return

    def notice(number: int, frame: FrameType | None) -> None:
        seen.append(number)
        signal.default_int_handler(number, frame)

    signal.signal(signal.SIGINT, notice)
    try:
        yield seen
    finally:
        signal.signal(signal.SIGINT, before)


def _tell(stop: Exit, error: BaseException | None = None) -> NoReturn:
    print(stop, file=sys.stderr)
    raise stop from error
