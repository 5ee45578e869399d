"""Densities and samples of many rows, computed in chunks to bound memory."""

from collections.abc import Callable, Sequence
from itertools import accumulate

import torch
from torch import Tensor

__all__ = ["batch_of", "log_prob_in_chunks", "sample_in_chunks"]

CHUNK = 8192


def batch_of(x: Tensor, context: Tensor, *, context_dims: int = 1) -> torch.Size:
    """The shape of the batch of rows and contexts that broadcast against each other.

    Args:
        x: `[*batch, features]`.
        context: `[*batch, …]`.
        context_dims: number of dimensions of a single context.

    Raises:
        ValueError: the batch dimensions do not broadcast.

    Example:
        >>> batch_of(torch.zeros(5, 1, 2), torch.zeros(4, 3))
        torch.Size([5, 4])
    """
    try:
        return torch.broadcast_shapes(x.shape[:-1], context.shape[:-context_dims])
    except RuntimeError as error:
        raise ValueError(
            f"x of shape {tuple(x.shape)} and context of shape {tuple(context.shape)} "
            "have batch dimensions that do not broadcast"
        ) from error


def log_prob_in_chunks(
    log_prob: Callable[[Tensor, Tensor | None], Tensor],
    x: Tensor,
    context: Tensor | None = None,
    *,
    context_dims: int = 1,
) -> Tensor:
    """Log-densities of rows and contexts, broadcast against each other.

    Args:
        log_prob: maps rows `[..., features]` and contexts to log-densities.
        x: `[*batch, features]`.
        context: `[*batch, …]`, or None.
        context_dims: number of dimensions of a single context.

    Raises:
        ValueError: the batch dimensions of x and the context do not broadcast.

    Example:
        >>> log_prob_in_chunks(lambda x, _: x.sum(-1), torch.ones(2, 10_000, 3)).shape
        torch.Size([2, 10000])
    """
    batch = x.shape[:-1]
    if context is not None:
        batch = batch_of(x, context, context_dims=context_dims)
    return _by_the_longest_dimension(log_prob, batch, x, context, context_dims)


def _by_the_longest_dimension(
    log_prob: Callable[[Tensor, Tensor | None], Tensor],
    batch: torch.Size,
    x: Tensor,
    context: Tensor | None,
    context_dims: int,
) -> Tensor:
    """Log-densities of the batch, from views of its parts: nothing is expanded or copied."""
    if batch.numel() <= CHUNK:
        return log_prob(x, context)
    dim = max(range(-len(batch), 0), key=batch.__getitem__)
    size = max(1, CHUNK * batch[dim] // batch.numel())
    count = -(-batch[dim] // size)
    rows = _parts(x, dim - 1, size, count)
    contexts = [None] * count
    if context is not None:
        contexts = _parts(context, dim - context_dims, size, count)
    found = []
    for row, given in zip(rows, contexts, strict=True):
        part = list(batch)
        part[dim] = min(size, batch[dim] - size * len(found))
        found.append(
            _by_the_longest_dimension(log_prob, torch.Size(part), row, given, context_dims)
        )
    return torch.cat(found, dim)


def _parts(value: Tensor, dim: int, size: int, count: int) -> Sequence[Tensor]:
    """Parts along a dimension; the same value for each where it is broadcast along that."""
    if -dim > value.ndim or value.shape[dim] == 1:
        return [value] * count
    return value.split(size, dim)


def sample_in_chunks(
    sample: Callable[[Sequence[int], Tensor | None], Tensor],
    sample_shape: torch.Size,
    context: Tensor | None = None,
    *,
    context_dims: int = 1,
) -> Tensor:
    """Samples `[*sample_shape, *context_batch, features]`.

    The last chunk also takes the remainder, so that normal noise gives the same numbers as in one
    call.

    Args:
        sample: maps a sample shape and contexts to samples.
        sample_shape: shape of the samples for each context.
        context: `[*context_batch, …]`, or None.
        context_dims: number of dimensions of a single context.

    Example:
        >>> sample_in_chunks(lambda n, _: torch.zeros(*n, 2), torch.Size([20_000])).shape
        torch.Size([20000, 2])
    """
    batch = torch.Size() if context is None else context.shape[:-context_dims]
    count, width = sample_shape.numel(), batch.numel()
    if count * width <= CHUNK:
        return sample(sample_shape, context)
    contexts: Sequence[Tensor | None] = [None]
    if context is not None:
        contexts = context.reshape(-1, *context.shape[-context_dims:]).split(CHUNK)
    most = max(1, CHUNK // width)
    sizes = [most] * (count // most - 1)
    sizes.append(count - sum(sizes))
    drawn = torch.empty(0)
    for first, n in zip(accumulate(sizes, initial=0), sizes, strict=False):
        for start, given in zip(range(0, width, CHUNK), contexts, strict=True):
            part = sample((n,), given)
            if not len(drawn):
                drawn = part.new_empty(count, width, part.shape[-1])
            columns = slice(start, start + CHUNK)
            drawn[first : first + n, columns] = part.reshape(n, -1, part.shape[-1])
    return drawn.reshape(*sample_shape, *batch, -1)
