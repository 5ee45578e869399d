"""Silences messages of the Trainer and of torch.compile about themselves."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["quiet"]


@contextmanager
def quiet() -> Iterator[None]:
    """Suppress their messages and warnings within a block, but not their errors.

    Example:
        >>> logger = logging.getLogger("pytorch_lightning")
        >>> level = logger.level
        >>> with quiet():
        ...     logger.isEnabledFor(logging.WARNING)
        False
        >>> logger.level == level
        True
    """
    logger = logging.getLogger("pytorch_lightning")
    level = logger.level
    logger.setLevel(logging.ERROR)
    with warnings.catch_warnings():
        silenced = "pytorch_lightning|lightning_fabric|torch._inductor|torch._dynamo"
        warnings.filterwarnings("ignore", module=silenced)
        try:
            yield
        finally:
            logger.setLevel(level)
