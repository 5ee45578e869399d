"""Silences the Trainer's messages about itself."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["quiet"]


@contextmanager
def quiet() -> Iterator[None]:
    """Suppress the Trainer's messages and warnings within a block, but not its errors.

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
        warnings.filterwarnings("ignore", module="pytorch_lightning|lightning_fabric")
        try:
            yield
        finally:
            logger.setLevel(level)
