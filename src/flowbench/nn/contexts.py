"""The context of a network."""

import torch
from torch import Tensor

__all__ = ["declared", "for_each_row"]


def declared(context: Tensor | None, context_features: int) -> Tensor | None:
    """The context, after checking that one is given if and only if one was declared.

    Args:
        context: as given to a network.
        context_features: as declared; 0: none.

    Raises:
        ValueError: the check fails.

    Example:
        >>> declared(None, 2)
        Traceback (most recent call last):
        ValueError: context_features=2, but a context was not given
    """
    if (context is None) != (context_features == 0):
        given = "not " if context is None else ""
        raise ValueError(f"context_features={context_features}, but a context was {given}given")
    return context


def for_each_row(context: Tensor | None, shape: torch.Size) -> Tensor | None:
    """A context that broadcasts to a batch of a shape, as `[rows, context_features]`.

    Example:
        >>> for_each_row(torch.zeros(1, 3), torch.Size([5, 2])).shape
        torch.Size([10, 3])
    """
    if context is None:
        return None
    return context.expand(*shape, -1).reshape(-1, context.shape[-1])
