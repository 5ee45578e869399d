"""Contexts from the values of a table's columns, by name."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from flowbench.frames import columns_of, finite_number, label_places

__all__ = ["named_context", "one_hot"]

Categories = Mapping[str, Sequence[str]]


def named_context(values: Mapping[str, Any], numbers: list[str], categories: Categories) -> Tensor:
    """Contexts from a number for each numeric column and a label for each categorical one.

    Args:
        values: of all columns; or columns of these, of equal length, as in a frame.
        numbers: names of the numeric columns.
        categories: the labels of each categorical column.

    Returns:
        `[context_features]`, or `[rows, context_features]` for columns.

    Raises:
        ValueError: a column is unknown or missing or differs in length from the others, or a
            value is not a number or known label.

    Example:
        >>> named_context({"age": 30, "city": "Bern"}, ["age"], {"city": ["Basel", "Bern"]})
        tensor([30.,  0.,  1.], dtype=torch.float64)
    """
    known = [*numbers, *categories]
    for name in values:
        if name not in known:
            raise ValueError(
                f"{name!r} is not a column of the context; it has {', '.join(known) or 'none'}"
            )
    if missing := [name for name in known if name not in values]:
        raise ValueError(
            f"the context lacks {missing[0]!r}; expected values for {', '.join(known)}"
        )
    batch, columns = columns_of({name: values[name] for name in known})
    found = [[finite_number(name, value) for value in columns[name]] for name in numbers]
    labels = [one_hot(name, [str(v) for v in columns[name]], categories) for name in categories]
    size = (len(found), math.prod(batch))
    context = torch.cat([torch.tensor(found, dtype=torch.float64).view(size).T, *labels], -1)
    return context.view(*batch, context.shape[-1])


def one_hot(column: str, labels: Sequence[str | None], categories: Categories) -> Tensor:
    """Labels of a categorical column, one-hot encoded, `[rows, labels]`; None gives NaN.

    Args:
        column: its name.
        labels: of rows.
        categories: the labels of each categorical column.

    Raises:
        ValueError: the column is unknown, or holds a label that it does not have.

    Example:
        >>> one_hot("city", ["Bern", None], {"city": ["Basel", "Bern"]})
        tensor([[0., 1.],
                [nan, nan]])
    """
    if column not in categories:
        known = ", ".join(categories) or "none"
        raise ValueError(f"{column!r} is not a categorical column; known: {known}")
    known = categories[column]
    places = label_places(labels, known)
    if None in places:
        raise ValueError(
            f"column {column!r} holds {labels[places.index(None)]!r}, expected one of "
            f"{', '.join(known)}"
        )
    rows = torch.cat([torch.eye(len(known)), torch.full((1, len(known)), torch.nan)])
    return rows[places]
