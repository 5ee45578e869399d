"""Contexts of a user's table: numbers, and one-hot encoded labels."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flowbench.data.moments import moments, refuse_constant, standardize
from flowbench.data.options import DataError
from flowbench.data.raw import SPLITS
from flowbench.data.selection import Selection
from flowbench.data.table.columns import Columns

__all__ = ["context_rows", "refuse_constant_contexts", "standardize_context"]


def context_rows(
    rows: list[Selection], columns: Columns, *, categories: dict[str, list[str]], path: Path
) -> dict[str, Any]:
    """The contexts of train, val and test: numbers unchanged, then labels one-hot encoded.

    Args:
        rows: rows of train, val and test, with all columns.
        columns: their columns by role.
        categories: column → its labels.
        path: path of the table, for messages.

    Raises:
        DataError: a row of val or test has a label that no training row has.
    """
    if not columns.contexts and not columns.categorical:
        return {}
    first, last = len(columns.targets), len(columns.numbers)
    for column, name in enumerate(columns.categorical, start=last):
        _refuse_unknown(rows, column, name=name, labels=categories[name], path=path)
    sizes = [len(categories[name]) for name in columns.categorical]

    def change(part: NDArray[Any]) -> NDArray[Any]:
        codes = part[:, last : last + len(sizes)].astype(np.intp)
        one_hot = [
            np.eye(size, dtype=part.dtype)[codes[:, column]] for column, size in enumerate(sizes)
        ]
        return np.concatenate([part[:, first:last], *one_hot], axis=1)

    return {name: split.then(change) for name, split in zip(SPLITS, rows, strict=True)}


def refuse_constant_contexts(train: Selection, columns: Columns, *, path: Path) -> None:
    """Refuse numeric columns of the context that do not vary.

    Args:
        train: the targets and the numeric contexts of the training rows.
        columns: the columns by role.
        path: path of the table, for messages.

    Raises:
        DataError: naming these columns, and the options that leave them out.
    """
    spread = moments(train.then(lambda part: part[:, len(columns.targets) :]))
    try:
        refuse_constant(spread, columns.contexts, where=f"training rows of {path}")
    except DataError as error:
        varies = dict(zip(columns.contexts, spread.low < spread.high, strict=True))
        way = columns.only(varies | dict.fromkeys(columns.targets, True))
        raise DataError(f"{error}; {way} leaves it out") from error


def standardize_context(
    train: Selection,
    names: list[str],
    *,
    weight: NDArray[np.float64] | None = None,
    path: Path,
) -> list[dict[str, Any]]:
    """The preprocessing that standardises only the first columns of a context.

    Args:
        train: the contexts of the training rows.
        names: names of the first columns.
        weight: how much each training row counts; None: all the same.
        path: path of the table, for messages.

    Raises:
        DataError: one of these columns is constant.
    """
    if not names:
        return []
    numbers = train.then(lambda part: part[:, : len(names)])
    [step] = standardize(numbers, names, where=str(path), weight=weight)
    rest = train.shape[1] - len(names)
    return [step | {"mean": step["mean"] + [0.0] * rest, "std": step["std"] + [1.0] * rest}]


def _refuse_unknown(
    rows: list[Selection], column: int, *, name: str, labels: list[str], path: Path
) -> None:
    """Refuse labels that no training row has: nothing would be learnt about them."""
    train, *others = (split.values_of(column) for split in rows)
    for split, values in zip(SPLITS[1:], others, strict=True):
        if unknown := sorted(values - train):
            more = f" (and {len(unknown) - 1} more such labels)" if len(unknown) > 1 else ""
            raise DataError(
                f"{path}: column {name!r} holds {labels[int(unknown[0])]!r} in the split "
                f"{split!r}, but in no training row{more}: nothing would be learnt about it; "
                "expected labels that several rows share: give rare ones a name in common, or "
                "leave the column out of data.categorical_columns"
            )
