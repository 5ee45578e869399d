"""Where many rows are kept: in memory, in a file that is mapped, or on the device."""

import os
import tempfile
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

import torch
from torch import Tensor

__all__ = ["SHARE", "empty", "empty_like", "fits"]

SHARE = 1 / 8  # of the memory, for the rows of one split; a validation holds a copy of them
GROUPS = Path("/sys/fs/cgroup")


def empty(
    shape: Sequence[int], *, dtype: torch.dtype = torch.float32, folder: str | Path | None = None
) -> Tensor:
    """A tensor without values: in memory or, where it would take too much of it, in a file.

    The file is mapped, so that the system keeps in memory what there is room for. It has no name,
    so that it is gone with the tensor, however the process ends.

    Args:
        shape: of the tensor.
        dtype: of its values.
        folder: where the file is; None: there is none, whatever the size.

    Raises:
        OSError: there is no room for the file.

    Example:
        >>> empty((2, 3)).shape
        torch.Size([2, 3])
    """
    size = torch.Size(shape).numel()
    if folder is None or fits(size * dtype.itemsize, torch.device("cpu")):
        return torch.empty(*shape, dtype=dtype)
    return _mapped(shape, dtype, Path(folder).expanduser())


def empty_like(x: Tensor) -> Tensor:
    """A tensor without values, kept where another is: on its device, or in a file beside its own.

    Example:
        >>> empty_like(torch.zeros(2, 3)).shape
        torch.Size([2, 3])
    """
    place = x.untyped_storage().filename if x.device.type == "cpu" else None
    return torch.empty_like(x) if place is None else _mapped(x.shape, x.dtype, Path(place).parent)


def fits(size: int, device: torch.device) -> bool:
    """Whether so many bytes are at most `SHARE` of the memory of a processor or CUDA device.

    Of a processor it is that of the machine or, where that is less, what the control group of the
    process may have; of a CUDA device, what is free.
    """
    if device.type == "cuda":
        return size <= SHARE * torch.cuda.mem_get_info(device)[0]
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return size <= SHARE * min(chain([whole], _group_limits()))


def _mapped(shape: Sequence[int], dtype: torch.dtype, folder: Path) -> Tensor:
    folder.mkdir(parents=True, exist_ok=True)
    size = torch.Size(shape).numel()
    with tempfile.NamedTemporaryFile(dir=folder, prefix="rows-") as file:
        try:
            _reserve(file.fileno(), size * dtype.itemsize)
        except OSError as error:
            told = f"{error.strerror}, for {size * dtype.itemsize / 2**30:.1f} GiB of rows"
            raise OSError(error.errno, told, str(folder)) from error
        return torch.from_file(file.name, shared=True, size=size, dtype=dtype).view(*shape)


def _reserve(file: int, size: int) -> None:
    """Make a file so long; where the system can, its blocks too: a map has no place to fail."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file, 0, size)
    else:
        os.truncate(file, size)


def _group_limits() -> list[int]:
    """What the control groups (version 2) that this process is in may have, in bytes."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []
    inner = next((line[3:] for line in lines if line.startswith("0::")), "/")
    group = GROUPS / inner.strip("/")
    files = [folder / "memory.max" for folder in (group, *group.parents)]
    found = [file.read_text().strip() for file in files if file.is_file()]
    return [int(limit) for limit in found if limit.isdigit()]
