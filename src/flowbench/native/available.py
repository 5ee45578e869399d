"""Whether scoring may use the library: where it is there already, or pays for its building."""

import ctypes

from flowbench.native.build import BuildError, is_built, library

__all__ = ["library_for"]

WORTHWHILE = 3e11  # parameters times rows, after which the time to build the library is saved


class _Process:
    """What this process has computed without the library, in parameters times rows."""

    without = 0.0
    failed = False


def library_for(work: float) -> ctypes.CDLL | None:
    """The library; None: it is not built, and what was computed so far would not pay for that.

    This follows from counts, not from clocks.

    Args:
        work: that is to be done, in parameters times rows.
    """
    known = is_built() or library.cache_info().currsize
    if not known:
        _Process.without += work
    if _Process.failed or not (known or _Process.without > WORTHWHILE):
        return None
    try:
        return library()
    except BuildError:
        _Process.failed = True
        return None
