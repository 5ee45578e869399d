"""What is asked of a data set, held against the annotations of its constructor."""

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

__all__ = ["DataError", "checked", "three_fractions"]

Constructor = TypeVar("Constructor", bound=Callable[..., None])


class DataError(Exception):
    """A mistake in the data or in what was asked of them, in one sentence."""


def checked(constructor: Constructor) -> Constructor:
    """Refuse values that the annotations of a constructor exclude, as in a configuration.

    Raises:
        DataError: one line per value.

    Example:
        >>> from flowbench.data import Toy
        >>> Toy(train_rows=0)
        Traceback (most recent call last):
            ...
        flowbench.data.options.DataError: data.train_rows=0: expected an integer at least 1
    """
    parameters = inspect.signature(constructor, eval_str=True).parameters

    @functools.wraps(constructor)
    def __init__(self: Any, **options: Any) -> None:
        from flowbench.config.signatures import problems_of_value

        problems = [
            problem
            for name, value in options.items()
            if name in parameters
            for problem in problems_of_value(
                f"data.{name}", _plain(value), parameters[name].annotation
            )
        ]
        if problems:
            raise DataError("\n".join(problems))
        constructor(self, **options)

    return __init__  # type: ignore[return-value]


def _plain(value: Any) -> Any:
    """Numbers of NumPy and torch as those of Python."""
    return value.tolist() if hasattr(value, "tolist") else value


def three_fractions(fractions: Sequence[float]) -> list[float]:
    """The fractions of the rows for train, val and test.

    Raises:
        DataError: they are not three, or do not sum to 1.
    """
    if len(fractions) != 3 or abs(sum(fractions) - 1) > 1e-6 or min(fractions) < 0:
        raise DataError(
            f"data.fractions={list(fractions)}: expected three numbers (train, val, test) that "
            "sum to 1"
        )
    return list(fractions)
