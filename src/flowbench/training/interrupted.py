"""How a run ends that was told to stop."""

import signal
from typing import Any

__all__ = ["Interrupted"]


class Interrupted(BaseException):
    """A signal has stopped the run after it was saved; the same command resumes it.

    Args:
        signum: number of the signal.
        code: with which the process ends; None: 128 + the number.

    Example:
        >>> str(Interrupted(signal.SIGTERM)), Interrupted(signal.SIGTERM).code
        ('stopped by SIGTERM', 143)
    """

    def __init__(self, signum: int, *, code: Any = None) -> None:
        super().__init__(f"stopped by {signal.Signals(signum).name}")
        self.code = 128 + signum if code is None else code
