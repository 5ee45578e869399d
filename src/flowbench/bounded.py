"""Modules of untrusted sizes are built within bounds on memory and work."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils._pytree import tree_flatten, tree_map

__all__ = ["TooLargeError", "bounded"]

VALUES = 2**24  # what small modules may take in any case
OPERATIONS = 5000
PER_TENSOR = 100


class TooLargeError(ValueError):
    """A module would take more memory or work than it may."""


@contextmanager
def bounded(*, values: int, tensors: int) -> Iterator[None]:
    """Refuse operations of torch that would take far more than a module of known size needs.

    No operation may create more than eight times as many values as the module has (or 2²⁴), and
    there may be about a hundred operations per tensor of the module. Whatever is too large is
    refused before it is allocated.

    Args:
        values: of all parameters and buffers together.
        tensors: number of parameters and buffers.

    Raises:
        TooLargeError: in the block, at the first such operation.

    Example:
        >>> with bounded(values=30, tensors=2):
        ...     torch.nn.Linear(10**6, 10**6)
        Traceback (most recent call last):
        flowbench.bounded.TooLargeError: it has an array of 1,000,000,000,000 values, ...
    """
    with _Bounds(values, tensors):
        yield


class _Bounds(TorchDispatchMode):
    def __init__(self, values: int, tensors: int) -> None:
        super().__init__()
        self.values, self.tensors = values, tensors
        self.left = OPERATIONS + PER_TENSOR * tensors

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        self.left -= 1
        if self.left < 0:
            raise TooLargeError(f"it has far more parts than the {self.tensors} tensors given")
        created = self._created(func, args, kwargs)
        if created > max(VALUES, 8 * self.values):
            raise TooLargeError(
                f"it has an array of {created:,} values, where {self.values:,} are given in all"
            )
        return func(*args, **kwargs)

    def _created(self, func: Any, args: Any, kwargs: Any) -> int:
        """The size of the largest new array, found on the meta device where it may be large."""
        leaves, _ = tree_flatten((args, kwargs))
        sizes = [leaf.numel() for leaf in leaves if isinstance(leaf, Tensor)]
        sizes += 2 * [abs(leaf) for leaf in leaves if isinstance(leaf, int)]  # eye(n) has n × n
        is_small = math.prod(size or 1 for size in sizes) <= VALUES
        if is_small or func._schema.name.endswith("_"):
            return 0
        options = {key: value for key, value in kwargs.items() if key != "generator"}
        if any(argument.name == "device" for argument in func._schema.arguments):
            options["device"] = torch.device("meta")
        try:
            with _disable_current_modes():
                found = func(*tree_map(_on_meta, args), **tree_map(_on_meta, options))
        except (NotImplementedError, RuntimeError):
            return max(sizes, default=0)
        made, _ = tree_flatten(found)
        return max((one.numel() for one in made if isinstance(one, Tensor)), default=0)


def _on_meta(value: Any) -> Any:
    if not isinstance(value, Tensor):
        return value
    return torch.empty_strided(value.shape, value.stride(), dtype=value.dtype, device="meta")
