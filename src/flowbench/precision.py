"""Computation in at least 32 bits, whatever `torch.autocast` says."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import wraps
from typing import Any, TypeVar

import torch
from torch import Tensor

__all__ = ["at_least_32_bits", "in_full_precision", "without_autocast"]

F = TypeVar("F", bound=Callable[..., Any])


def without_autocast(device: torch.device) -> AbstractContextManager[object]:
    """A context in which autocast is off for a device.

    Example:
        >>> with torch.autocast("cpu", torch.bfloat16), without_autocast(torch.device("cpu")):
        ...     torch.nn.Linear(2, 2)(torch.zeros(2)).dtype
        torch.float32
    """
    if device.type == "meta" or not torch.is_autocast_enabled(device.type):
        return nullcontext()
    return torch.autocast(device.type, enabled=False)


def at_least_32_bits(value: Tensor) -> Tensor:
    """The same numbers, in float32 if they are 16-bit floating-point numbers.

    Example:
        >>> at_least_32_bits(torch.zeros(2, dtype=torch.bfloat16)).dtype
        torch.float32
    """
    narrow = value.is_floating_point() and value.dtype.itemsize < 4
    return value.float() if narrow else value


def in_full_precision(method: F) -> F:
    """A direction of a transform, computed without autocast and with at least 32 bits."""

    @wraps(method)
    def within(self: Any, event: Tensor, context: Tensor | None = None) -> Any:
        event = at_least_32_bits(event)
        context = None if context is None else at_least_32_bits(context)
        with without_autocast(event.device):
            return method(self, event, context)

    return within  # type: ignore[return-value]
