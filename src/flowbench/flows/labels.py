"""Classes as one-hot contexts."""

from collections.abc import Iterator

import torch
from torch import Tensor

from flowbench.tracing import holds

__all__ = ["labels_of_one_hot", "own_labels", "rows_of_classes"]


def own_labels(context: Tensor | None, classes: int | None, device: torch.device) -> Tensor:
    """The labels of one-hot contexts `[..., classes]`; a 0 for all rows if there are no classes.

    Raises:
        ValueError: there are classes, and the context is missing or not one-hot.

    Example:
        >>> own_labels(torch.eye(2), 2, torch.device("cpu"))
        tensor([0, 1])
        >>> own_labels(None, 0, torch.device("cpu"))
        tensor(0)
    """
    if not classes:
        return torch.zeros((), dtype=torch.long, device=device)
    return labels_of_one_hot(context, classes)


def rows_of_classes(labels: Tensor, classes: int) -> Iterator[Tensor]:
    """For each class, which training rows are its own, `[rows]` of truth values.

    Raises:
        ValueError: a class has none.

    Example:
        >>> [*rows_of_classes(torch.tensor([0, 1, 0]), 2)]
        [tensor([ True, False,  True]), tensor([False,  True, False])]
    """
    for label in range(classes):
        own = labels == label
        if not own.any():
            raise ValueError(f"class {label} of 0 … {classes - 1} has no training rows")
        yield own


def labels_of_one_hot(context: Tensor | None, classes: int) -> Tensor:
    """The labels of one-hot contexts `[..., classes]`, integers `[...]`.

    Raises:
        ValueError: the context is missing, or not one-hot.

    Example:
        >>> labels_of_one_hot(torch.eye(3), 3)
        tensor([0, 1, 2])
    """
    if context is None:
        raise ValueError(f"context_features={classes}, but a context was not given")
    one_hot = ((context == 0) | (context == 1)).all(-1) & (context.sum(-1) == 1)
    if context.shape[-1] != classes or not holds(one_hot):
        raise ValueError(
            f"the context must name one of {classes} classes in one-hot form (of a table: "
            "data.categorical_columns); LinearGaussian and flows take numbers"
        )
    return context.argmax(-1)
