"""Densities and samples of many rows, computed in chunks to bound memory."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

__all__ = ["log_prob_in_chunks", "sample_in_chunks"]

CHUNK = 8192


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
        try:
            batch = torch.broadcast_shapes(batch, context.shape[:-context_dims])
        except RuntimeError as error:
            raise ValueError(
                f"x of shape {tuple(x.shape)} and context of shape {tuple(context.shape)} "
                "have batch dimensions that do not broadcast"
            ) from error
    if batch.numel() <= CHUNK:
        return log_prob(x, context)
    rows = x.expand(*batch, -1).reshape(-1, x.shape[-1]).split(CHUNK)
    contexts: Sequence[Tensor | None] = [context] * len(rows)
    if context is not None:
        shape = context.shape[-context_dims:]
        if context.shape[:-context_dims].numel() > 1:  # a single context is shared by all rows
            contexts = context.expand(*batch, *shape).reshape(-1, *shape).split(CHUNK)
        else:
            contexts = [context.reshape(shape)] * len(rows)
    return torch.cat([*map(log_prob, rows, contexts)]).reshape(batch)


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
    parts = [torch.cat([_flat(sample((n,), c), n) for c in contexts], dim=1) for n in sizes]
    return torch.cat(parts).reshape(*sample_shape, *batch, -1)


def _flat(samples: Tensor, count: int) -> Tensor:
    """`[count, contexts, features]`, with one context if there is none."""
    return samples.reshape(count, -1, samples.shape[-1])
