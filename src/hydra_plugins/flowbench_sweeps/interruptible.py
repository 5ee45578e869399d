"""A sweep that is told to stop tells its jobs, as it does on Ctrl-C."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flowbench.training.interrupted import Interrupted

__all__ = ["interruptible"]


@contextmanager
def interruptible() -> Iterator[None]:
    """Within it SIGTERM raises `Interrupted`, with the exit code of a run that was stopped."""
    earlier = signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, earlier)


def _interrupt(signum: int, frame: Any) -> None:
    raise Interrupted(signum, code=os.EX_TEMPFAIL)
