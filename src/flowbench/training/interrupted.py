"""The exception that ends an interrupted run."""

import signal
from typing import Any

__all__ = ["Interrupted"]


class Interrupted(BaseException):
    """A signal has stopped the run, which was saved first; the same command resumes it.

    Args:
        signum: number of the signal.
        code: exit code of the process; None: 128 + the number.

    Example:
        >>> str(Interrupted(signal.SIGTERM)), Interrupted(signal.SIGTERM).code
        ('stopped by SIGTERM', 143)
    """

    def __init__(self, signum: int, *, code: Any = None) -> None:
        super().__init__(f"stopped by {signal.Signals(signum).name}")
        self.code: int | Any = 128 + signum if code is None else code
