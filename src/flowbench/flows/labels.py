"""Classes as one-hot contexts."""

from torch import Tensor

from flowbench.tracing import holds

__all__ = ["labels_of_one_hot"]


def labels_of_one_hot(context: Tensor | None, classes: int) -> Tensor:
    """The labels of one-hot contexts `[..., classes]`, integers `[...]`.

    Raises:
        ValueError: the context is missing, or not one-hot.

    Example:
        >>> import torch
        >>> labels_of_one_hot(torch.eye(3), 3)
        tensor([0, 1, 2])
    """
    if context is None:
        raise ValueError(f"context_features={classes}, but a context was not given")
    one_hot = ((context == 0) | (context == 1)).all(-1) & (context.sum(-1) == 1)
    if context.shape[-1] != classes or not holds(one_hot):
        raise ValueError(f"the context must name one of {classes} classes in one-hot form")
    return context.argmax(-1)
