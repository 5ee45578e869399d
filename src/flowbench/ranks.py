"""Collective operations among the processes (ranks) of distributed training.

Without a process group, every function returns what it was given.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch.distributed as dist
from torch import Tensor

__all__ = [
    "DeadRankError",
    "barrier",
    "gathered",
    "highest",
    "leave",
    "naming_the_dead",
    "of_first",
    "rank",
    "size",
    "summed",
]

T = TypeVar("T")
LOST = re.compile(r"gloo|nccl|connection (closed|reset|refused)|broken pipe|peer", re.IGNORECASE)


class DeadRankError(ConnectionError):
    """Another process of a distributed training has ended before this one."""


def size() -> int:
    """The number of processes that train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """The number of this process, from 0."""
    return dist.get_rank() if size() > 1 else 0


def summed(value: Tensor) -> Tensor:
    """The sum over all ranks, in place."""
    if size() > 1:
        dist.all_reduce(value)
    return value


def highest(value: Tensor) -> Tensor:
    """The elementwise maximum over all ranks, in place."""
    if size() > 1:
        dist.all_reduce(value, op=dist.ReduceOp.MAX)
    return value


def gathered(value: T) -> list[T]:
    """The values of all ranks, in rank order; anything that can be pickled.

    Example:
        >>> gathered("alone")
        ['alone']
    """
    values = [value] * size()
    if len(values) > 1:
        dist.all_gather_object(values, value)
    return values


def of_first(function: Callable[[], T]) -> T:
    """The result, or the error, of a function that is called on rank 0 only.

    Example:
        >>> of_first(lambda: "alone")
        'alone'
    """
    outcome: list[T | Exception | None] = [None]
    if rank() == 0:
        try:
            outcome = [function()]
        except Exception as error:  # sent to all ranks, which would otherwise wait
            outcome = [error]
    if size() > 1:
        dist.broadcast_object_list(outcome)
    if isinstance(outcome[0], Exception):
        raise outcome[0]
    return outcome[0]  # type: ignore[return-value]


def barrier() -> None:
    """Wait until all ranks reach this point."""
    gathered(None)


@contextmanager
def naming_the_dead() -> Iterator[None]:
    """Say which rank is gone, where a collective operation fails for that reason.

    Raises:
        DeadRankError: instead of the error of the connection.
    """
    try:
        yield
    except RuntimeError as error:
        if size() == 1 or not LOST.search(str(error)):
            raise
        others = [str(other) for other in range(size()) if other != rank()]
        dead = f"rank {others[0]}" if len(others) == 1 else f"one of the ranks {', '.join(others)}"
        raise DeadRankError(
            f"rank {rank()}: {dead} has died; its own output says why, if it could, and the same "
            "command resumes the run"
        ) from error


def leave() -> None:
    """Leave the process group; otherwise the process may abort at exit (gloo's threads)."""
    if size() > 1:
        dist.destroy_process_group()
