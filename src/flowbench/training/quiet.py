"""The Trainer talks about itself; this is how it is kept off the screen."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["quiet"]


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the Trainer's remarks about itself off the screen, inside only; errors are no remarks.

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
