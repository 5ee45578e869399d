"""How a run ends that was told to stop."""

import signal

__all__ = ["Interrupted"]


class Interrupted(BaseException):
    """A signal has stopped the run after it was saved; the same command resumes it.

    Args:
        signum: number of the signal.

    Example:
        >>> str(Interrupted(signal.SIGTERM))
        'stopped by SIGTERM'
    """

    def __init__(self, signum: int) -> None:
        super().__init__(f"stopped by {signal.Signals(signum).name}")
        self.signum = signum
