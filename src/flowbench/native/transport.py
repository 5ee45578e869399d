"""Many rows through all layers of a flow at once, without gradients."""

import ctypes
import math
from itertools import accumulate

import torch
from torch import Tensor

from flowbench.native.available import library_for
from flowbench.native.program import Unsupported, added_to, buffers_of, type_of, words_of
from flowbench.tracing import may_split
from flowbench.transforms import BatchNorm, MaskedAutoregressive, Transform
from flowbench.transforms.base import layers_from_data

__all__ = ["FEWEST", "transported"]

FEWEST = 512  # rows for which it pays
TAKES = [ctypes.c_void_p] * 4 + [ctypes.c_ssize_t] + [ctypes.c_int] * 2 + [ctypes.c_void_p] * 2

Mapped = tuple[Tensor, Tensor]


def transported(
    transform: Transform, value: Tensor, context: Tensor | None, *, forward: bool
) -> Mapped:
    """What the transform gives, by the library where that is faster and nobody can tell.

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
    if may_split(value) and value.is_cpu:
        batch = value.shape[:-1]
        if context is not None:
            batch = torch.broadcast_shapes(batch, context.shape[:-1])
        if math.prod(batch) >= FEWEST:
            try:
                return _by_library(transform, value, context, batch, forward=forward)
            except Unsupported:
                pass
    return (transform if forward else transform.inverse)(value, context)


def _by_library(
    transform: Transform,
    value: Tensor,
    context: Tensor | None,
    batch: torch.Size,
    *,
    forward: bool,
) -> Mapped:
    """The same by the library.

    Raises:
        Unsupported: it does not know a layer, or is not there.
    """
    layers = layers_from_data(transform)
    if added := added_to(transform):
        raise Unsupported(added)
    if any(_needs_all_rows(layer, forward=forward) for layer in layers):
        raise Unsupported("a layer whose rows or features depend on each other")
    sizes = (value.shape[-1], 0 if context is None else context.shape[-1])
    given = [part.expand(*batch, -1).contiguous() for part in (value, context) if part is not None]
    parameters = list(transform.parameters())
    dtype = type_of([*parameters, *buffers_of(transform), *given])
    starts = accumulate((one.numel() for one in parameters), initial=0)
    words = words_of(layers, *sizes, dict(zip(parameters, starts, strict=False)))
    theta = torch.cat([value.new_empty(0), *(one.flatten() for one in parameters)])
    rows = math.prod(batch)
    if (library := library_for(len(theta) * rows)) is None:
        raise Unsupported("the library")
    call = getattr(library, f"transport_{str(dtype).removeprefix('torch.')}")
    call.argtypes = TAKES
    out, log_det = torch.empty_like(given[0]), value.new_empty(batch)
    tensors = [words.buffer_info()[0], theta.data_ptr(), *(one.data_ptr() for one in given)]
    tensors += [None] * (4 - len(tensors))
    results = (out.data_ptr(), log_det.data_ptr())
    if not call(*tensors, rows, forward, torch.get_num_threads(), *results):
        raise Unsupported("so many rows")
    return out, log_det


def _needs_all_rows(layer: Transform, *, forward: bool) -> bool:
    """Whether it uses statistics of a batch, or maps feature after feature."""
    batch = isinstance(layer, BatchNorm) and layer.training and not forward
    return batch or (forward and isinstance(layer, MaskedAutoregressive))
