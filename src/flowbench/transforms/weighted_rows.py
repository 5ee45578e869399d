"""Rows that count by a weight each, in what is estimated from rows."""

import inspect
from collections.abc import Callable
from typing import Any

from torch import Tensor

__all__ = ["on_rows", "repeated"]


def on_rows(
    method: Callable[..., Any], x: Tensor, context: Tensor | None, weight: Tensor | None
) -> None:
    """Call a method that estimates something from rows; with their weights, if there are any.

    Args:
        method: of a flow or a transform, such as `initialize`.
        x: rows, `[rows, features]`.
        context: their contexts, or None.
        weight: how much each counts, `[rows]`; None: all the same.

    Raises:
        ValueError: there are weights, and the method takes none.

    Example:
        >>> import torch
        >>> def initialize(x, context=None):
        ...     print(x.mean().item())
        >>> on_rows(initialize, torch.tensor([[1.0], [3.0]]), None, None)
        2.0
        >>> on_rows(initialize, torch.tensor([[1.0], [3.0]]), None, torch.ones(2))
        Traceback (most recent call last):
        ValueError: initialize takes no weights of rows: expected a further argument weight=None
    """
    if weight is None:
        method(x, context)
    elif "weight" in inspect.signature(method).parameters:
        method(x, context, weight=weight)
    else:
        raise ValueError(
            f"{method.__qualname__} takes no weights of rows: expected a further argument "
            "weight=None"
        )


def repeated(weight: Tensor | None, rows: int) -> Tensor | None:
    """The weights of rows that are folded into several each, one after the other.

    Args:
        weight: of the rows before; None: all the same.
        rows: how many rows there are now.

    Example:
        >>> import torch
        >>> repeated(torch.tensor([1.0, 2.0]), 4)
        tensor([1., 1., 2., 2.])
    """
    return None if weight is None else weight.repeat_interleave(rows // max(1, len(weight)))
