"""The peak memory of a run, without that of earlier runs in the same process."""

import re
import resource
import sys
from pathlib import Path

import torch

__all__ = ["PeakMemory"]

PROCESS = Path("/proc/self")
RESET_PEAK = "5"  # see proc_pid_clear_refs(5)


class PeakMemory:
    """The peak since its creation; only one can count at a time.

    Example:
        >>> memory = PeakMemory()
        >>> memory.bytes(torch.device("cpu")) > 1_000_000
        True
    """

    earlier = False  # whether another one was created before

    def __init__(self) -> None:
        if torch.cuda.is_initialized():
            for device in range(torch.cuda.device_count()):
                torch.cuda.reset_peak_memory_stats(device)
        self.counts: bool = _reset() or not PeakMemory.earlier
        PeakMemory.earlier = True

    def bytes(self, device: torch.device) -> int | None:
        """Allocated on a CUDA device, else the resident set of this process; None if unknown.

        Systems other than Linux know only the peak of the whole process, hence of its first run.
        """
        if device.type == "cuda":
            return torch.cuda.max_memory_allocated(device)
        return _highest() if self.counts else None


def _reset() -> bool:
    try:
        (PROCESS / "clear_refs").write_text(RESET_PEAK)
    except OSError:
        return False
    return True


def _highest() -> int:
    if (PROCESS / "status").exists():
        found = re.search(r"VmHWM:\s*(\d+) kB", (PROCESS / "status").read_text())
        if found:
            return int(found[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
