"""Mistakes in data sets and in their options."""

from collections.abc import Sequence

__all__ = ["DataError", "three_fractions"]


class DataError(Exception):
    """A mistake in the data or in the options of a data set, in one sentence."""


def three_fractions(fractions: Sequence[float]) -> list[float]:
    """The fractions of the rows for train, val and test.

    Raises:
        DataError: there are not three, or they do not sum to 1.
    """
    if len(fractions) != 3 or abs(sum(fractions) - 1) > 1e-6 or min(fractions) < 0:
        raise DataError(
            f"data.fractions={list(fractions)}: expected three numbers (train, val, test) that "
            "sum to 1"
        )
    return list(fractions)
