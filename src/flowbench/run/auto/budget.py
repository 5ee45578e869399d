"""The wall time of a race."""

import time
from collections.abc import Callable

__all__ = ["Budget"]


class Budget:
    """So many seconds of wall time, some of which are kept for what comes after the race.

    Args:
        seconds: in all.
        before: spent by earlier attempts.
        clock: seconds since some moment.

    Attributes:
        kept: seconds that the race leaves over.

    Example:
        >>> budget = Budget(60, before=20)
        >>> budget.kept = 10
        >>> 29 < budget.left() <= 30
        True
    """

    def __init__(
        self, seconds: float, *, before: float = 0.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.seconds = seconds
        self.before = before
        self.clock = clock
        self.kept = 0.0
        self.started: float = clock()

    def spent(self) -> float:
        """Seconds since the race began, those of earlier attempts included."""
        return self.before + self.clock() - self.started

    def left(self) -> float:
        """Seconds until the race has to end."""
        return self.seconds - self.kept - self.spent()
