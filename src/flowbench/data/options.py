"""Mistakes in data sets and in their options."""

from collections.abc import Sequence

__all__ = ["DataError", "refuse_together", "three_fractions"]

TOLD = 10


class DataError(Exception):
    """A mistake in the data or in the options of a data set, in one sentence."""


def refuse_together(problems: Sequence[str], *, what: str) -> None:
    """Refuse files, if there are problems with any.

    Args:
        problems: one sentence per file.
        what: what the files are, in the plural.

    Raises:
        DataError: the first ten, one per line, and how many more there are.
    """
    lines = list(dict.fromkeys(problems))
    if lines:
        more = len(lines) - TOLD
        raise DataError(
            "\n".join(lines[:TOLD] + ([f"and {more:,} more {what}"] if more > 0 else []))
        )


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
