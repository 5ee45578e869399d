"""Rows that count by a weight each, in what is estimated from rows."""

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

__all__ = ["as_counts", "on_rows", "quantiles", "repeated"]


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
        >>> repeated(torch.tensor([1.0, 2.0]), 4)
        tensor([1., 1., 2., 2.])
    """
    return None if weight is None else weight.repeat_interleave(rows // max(1, len(weight)))


def as_counts(weight: Tensor) -> Tensor:
    """Weights, which are relative, as numbers of rows, in float64.

    If all are whole multiples of the smallest, a weight is the number of times that a row comes;
    otherwise their sum is the number of equal rows with a mean of the same variance, (Σw)²/Σw²
    (Kish 1965).

    Example:
        >>> as_counts(torch.tensor([0.5, 1.5])), as_counts(torch.tensor([1.0, 1.5])).sum()
        (tensor([1., 3.], dtype=torch.float64), tensor(1.9231, dtype=torch.float64))
    """
    times = weight.double() / weight.min().double()
    if torch.allclose(times, times.round(), rtol=1e-6, atol=0):
        return times.round()
    return times * times.sum() / times.square().sum()


def quantiles(column: Tensor, places: Tensor, counts: Tensor) -> Tensor:
    """The quantiles of values that come so many times each, interpolated linearly.

    Args:
        column: `[rows]`.
        places: probabilities.
        counts: `[rows]`, see `as_counts`.

    Example:
        >>> once_twice = torch.tensor([1.0, 2.0])
        >>> quantiles(torch.tensor([3.0, 7.0]), torch.tensor([0.0, 0.25, 0.5]), once_twice)
        tensor([3., 5., 7.], dtype=torch.float64)
    """
    ordered, order = column.double().sort()
    ends = counts.double()[order].cumsum(0)
    at = places.double() * (ends[-1] - 1).clamp(min=0)
    low = at.floor()
    below, above = (
        ordered[torch.searchsorted(ends, place, right=True).clamp(max=len(column) - 1)]
        for place in (low, low + 1)
    )
    return below + (at - low) * (above - below)
