"""Rows through all layers of a flow at once, without gradients."""

import ctypes
import math
from typing import NamedTuple
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from flowbench.native.available import library_for
from flowbench.native.program import (
    Unsupported,
    added_to,
    buffers_of,
    type_of,
    unknown_kind,
    words_of,
)
from flowbench.native.unchanged import Unchanged
from flowbench.tracing import may_split
from flowbench.transforms import BatchNorm, Transform
from flowbench.transforms.base import layers_from_data

__all__ = ["transported"]

TAKES = [ctypes.c_void_p] * 4 + [ctypes.c_ssize_t] + [ctypes.c_int] * 2 + [ctypes.c_void_p] * 2

Mapped = tuple[Tensor, Tensor]


def transported(
    transform: Transform, value: Tensor, context: Tensor | None, *, forward: bool
) -> Mapped:
    """What the transform gives, by the library where that is there and nobody can tell.

    Args:
        transform: of a flow.
        value: `[*batch, features]`.
        context: `[*batch, context_features]`, or None; its batch shape broadcasts with that of
            the value.
        forward: from noise to data, instead of from data to noise.

    Example:
        >>> from flowbench.transforms import Affine
        >>> transported(Affine(scale=[2.0]), torch.ones(3, 1), None, forward=True)[0].squeeze()
        tensor([2., 2., 2.])
    """
    if may_split(value) and value.is_cpu and value.numel():
        found = _by_library(transform, value, context, forward=forward)
        if found is not None:
            return found
    return (transform if forward else transform.inverse)(value, context)


def _by_library(
    transform: Transform, value: Tensor, context: Tensor | None, *, forward: bool
) -> Mapped | None:
    """The same by the library; None: it does not know a layer, or is not there."""
    batch = value.shape[:-1]
    if context is not None:
        batch = torch.broadcast_shapes(batch, context.shape[:-1])
    program = _program(transform, value.shape[-1], 0 if context is None else context.shape[-1])
    if program is None or (program.whole_batches and not forward):
        return None
    if (library := library_for(program.parameters * math.prod(batch))) is None:
        return None
    given = [part.expand(*batch, -1).contiguous() for part in (value, context) if part is not None]
    if any(part.dtype != program.dtype or not part.is_cpu for part in given):
        return None
    return program.run(library, given, batch, forward=forward)


class _Program:
    """The layers of a transform in words that the library reads, and where its parameters are.

    Raises:
        Unsupported: the library does not know a layer.
    """

    def __init__(self, transform: Transform, features: int, contexts: int) -> None:
        layers = layers_from_data(transform)
        if added := added_to(transform):
            raise Unsupported(added)
        tensors = list(transform.parameters())
        self.dtype = type_of([*tensors, *buffers_of(transform)])
        self.parameters = sum(one.numel() for one in tensors)
        self.first = min((one.data_ptr() for one in tensors), default=0)
        size = self.dtype.itemsize
        places = {one: (one.data_ptr() - self.first) // size for one in tensors}
        self.words = words_of(layers, features, contexts, places)
        self.whole_batches = any(isinstance(one, BatchNorm) and one.training for one in layers)

    def run(
        self, library: ctypes.CDLL, given: list[Tensor], batch: torch.Size, *, forward: bool
    ) -> Mapped | None:
        """The image of the rows and their log-determinants; None: there is no memory for them."""
        call = getattr(library, f"transport_{str(self.dtype).removeprefix('torch.')}")
        call.argtypes = TAKES
        out, log_det = torch.empty_like(given[0]), given[0].new_empty(batch)
        tensors = [self.words.buffer_info()[0], self.first, *(one.data_ptr() for one in given)]
        tensors += [None] * (4 - len(tensors))
        results = (out.data_ptr(), log_det.data_ptr())
        done = call(*tensors, math.prod(batch), forward, torch.get_num_threads(), *results)
        return (out, log_det) if done else None


class _Known(NamedTuple):
    unchanged: Unchanged
    sizes: tuple[int, int]
    program: _Program | None


_known: WeakKeyDictionary[Transform, _Known] = WeakKeyDictionary()


def _program(transform: Transform, features: int, contexts: int) -> _Program | None:
    """The program of a transform, which is kept for as long as the transform does not change."""
    sizes = features, contexts
    known = _known.get(transform)
    if known is None or known.sizes != sizes or not known.unchanged():
        if any(map(unknown_kind, layers_from_data(transform))):
            return None
        unchanged = Unchanged(transform)
        try:
            program = _Program(transform, *sizes)
        except Unsupported:
            program = None
        known = _known[transform] = _Known(unchanged, sizes, program)
    return known.program
