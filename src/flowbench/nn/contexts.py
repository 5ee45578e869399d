"""The context of a network."""

from torch import Tensor

__all__ = ["declared"]


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
