"""Storage for many rows: in memory, in a memory-mapped file, or on the device."""

import os
import tempfile
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

import torch
from torch import Tensor

from flowbench.disk import require_space, reserve

__all__ = ["SHARE", "empty", "empty_like", "fits"]

SHARE = 1 / 8  # of memory, for the rows of one split; validation holds a copy of them
GROUPS = Path("/sys/fs/cgroup")


def empty(
    shape: Sequence[int], *, dtype: torch.dtype = torch.float32, folder: str | Path | None = None
) -> Tensor:
    """An uninitialised tensor: in memory or, if it would take too much, in a file.

    The file is memory-mapped, so that the system caches as much as fits in memory. It is unlinked,
    so that it disappears with the tensor, however the process ends.

    Args:
        shape: of the tensor.
        dtype: of its values.
        folder: where to put the file; None always uses memory.

    Raises:
        FullDiskError: the file does not fit on the disk.

    Example:
        >>> empty((2, 3)).shape
        torch.Size([2, 3])
    """
    size = torch.Size(shape).numel()
    if folder is None or fits(size * dtype.itemsize, torch.device("cpu")):
        return torch.empty(*shape, dtype=dtype)
    return _mapped(shape, dtype, Path(folder).expanduser())


def empty_like(x: Tensor) -> Tensor:
    """An uninitialised tensor, stored like another: on its device, or in a file beside its file.

    Example:
        >>> empty_like(torch.zeros(2, 3)).shape
        torch.Size([2, 3])
    """
    place = x.untyped_storage().filename if x.device.type == "cpu" else None
    return torch.empty_like(x) if place is None else _mapped(x.shape, x.dtype, Path(place).parent)


def fits(size: int, device: torch.device) -> bool:
    """Whether a number of bytes is at most `SHARE` of the memory of a CPU or CUDA device.

    For the CPU this is the total memory or, if smaller, the limit of the process's control group;
    for a CUDA device, the free memory.
    """
    if device.type == "cuda":
        return size <= SHARE * torch.cuda.mem_get_info(device)[0]
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return size <= SHARE * min(chain([whole], _group_limits()))


def _mapped(shape: Sequence[int], dtype: torch.dtype, folder: Path) -> Tensor:
    folder.mkdir(parents=True, exist_ok=True)
    size = torch.Size(shape).numel()
    require_space(folder, size * dtype.itemsize)
    with tempfile.NamedTemporaryFile(dir=folder, prefix="rows-") as file:
        reserve(file.fileno(), size * dtype.itemsize, path=folder)
        return torch.from_file(file.name, shared=True, size=size, dtype=dtype).view(*shape)


def _group_limits() -> list[int]:
    """The memory limits of the control groups (version 2) of this process, in bytes."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []
    inner = next((line[3:] for line in lines if line.startswith("0::")), "/")
    group = GROUPS / inner.strip("/")
    files = [folder / "memory.max" for folder in (group, *group.parents)]
    found = [file.read_text().strip() for file in files if file.is_file()]
    return [int(limit) for limit in found if limit.isdigit()]
