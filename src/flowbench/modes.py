"""Training and evaluation modes of the parts of a module."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

__all__ = ["modes_kept"]


@contextmanager
def modes_kept(module: nn.Module) -> Iterator[None]:
    """Restore the present mode of every part of a module at the end.

    Example:
        >>> flow = nn.Sequential(nn.Dropout().eval(), nn.Dropout())
        >>> with modes_kept(flow):
        ...     flow.eval()[1].training
        False
        >>> [part.training for part in flow]
        [False, True]
    """
    modes = [(part, part.training) for part in module.modules()]
    try:
        yield
    finally:
        for part, training in modes:
            part.training = training
