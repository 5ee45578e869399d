"""What times a task: CPU time on a processor, wall time until a GPU has finished."""

import os
import platform
import re
import time
from collections.abc import Callable
from pathlib import Path

__all__ = ["clock_of", "name_of"]


def clock_of(device: str) -> Callable[[], float]:
    """A clock that tells seconds: of this process, or until all work on the GPU is done."""
    return time.process_time if device == "cpu" else _finished


def _finished() -> float:
    import torch

    torch.cuda.synchronize()
    return time.perf_counter()


def name_of(device: str) -> str:
    """The name of the processor, where the system tells it, or of the GPU."""
    if device != "cpu":
        import torch

        return torch.cuda.get_device_name()
    information = Path("/proc/cpuinfo")
    found = information.exists() and re.search(r"model name\s*:\s*(.*)", information.read_text())
    return f"{found[1] if found else platform.machine()}, {os.cpu_count()} CPUs"
