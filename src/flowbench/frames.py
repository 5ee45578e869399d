"""Columns by name, from a data frame of any library or from a mapping."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

__all__ = ["by_name", "by_rows", "column_names", "columns_of", "finite_number", "label_places"]

WHOLE = re.compile(r"-?(0|[1-9]\d*)\.0*")  # written with decimals


def column_names(value: Any) -> list[str]:
    """The names of a frame's columns; none if it is not a frame or its names are not strings.

    Example:
        >>> import pandas as pd
        >>> column_names(pd.DataFrame({"a": [1.0]})), column_names([[1.0]])
        (['a'], [])
    """
    names = list(value.columns) if _is_frame(value) else []
    return names if all(isinstance(name, str) for name in names) else []


def _is_frame(value: Any) -> bool:
    return hasattr(value, "columns") and hasattr(value, "to_numpy")


def by_rows(value: Any, size: int) -> list[Any]:
    """A frame as parts of at most `size` consecutive rows; any other value is one part.

    Example:
        >>> import pandas as pd
        >>> [len(part) for part in by_rows(pd.DataFrame({"a": range(5)}), 2)]
        [2, 2, 1]
    """
    if not _is_frame(value) or len(value) <= size:
        return [value]
    rows = getattr(value, "iloc", value)
    return [rows[start : start + size] for start in range(0, len(value), size)]


def by_name(name: str, value: Any, columns: Sequence[str]) -> Any:
    """The requested columns of a frame; a value that has none of them is returned unchanged.

    Raises:
        ValueError: a frame has some of the columns but not all.

    Example:
        >>> import pandas as pd
        >>> frame = pd.DataFrame({"a": [1.0], "b": [2.0]})
        >>> by_name("x", frame, ["b", "a"]).to_numpy().tolist()
        [[2.0, 1.0]]
    """
    known = column_names(value)
    missing = [column for column in columns if column not in known]
    if len(missing) == len(columns):
        return value
    if missing:
        raise ValueError(f"{name} has no column {missing[0]!r}; it has {', '.join(known)}")
    return value if known == list(columns) else value[list(columns)]


def columns_of(values: Mapping[str, Any]) -> tuple[tuple[int, ...], dict[str, list[Any]]]:
    """Convert values, or columns of values, to columns of equal length.

    Returns:
        Their common shape, `()` or `(rows,)`, and the columns.

    Raises:
        ValueError: columns differ in length, or one is not a column.

    Example:
        >>> columns_of({"a": [1, 2], "b": 3})
        ((2,), {'a': [1, 2], 'b': [3, 3]})
    """
    arrays = {name: np.asarray(value, dtype=object) for name, value in values.items()}
    shapes = {array.shape for array in arrays.values()} - {()}
    if len(shapes) > 1 or any(len(shape) > 1 for shape in shapes):
        found = ", ".join(f"{name!r} {list(array.shape)}" for name, array in arrays.items())
        raise ValueError(
            f"the columns of the context have the shapes {found}, expected one [rows] for all"
        )
    batch = next(iter(shapes), ())
    return batch, {
        name: np.broadcast_to(array, batch).reshape(-1).tolist() for name, array in arrays.items()
    }


def finite_number(column: str, value: Any) -> float:
    """A value of a column as a finite number.

    Raises:
        ValueError: the value is not a number, or not finite.

    Example:
        >>> finite_number("age", "30")
        30.0
    """
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"column {column!r} is given {value!r}, expected a finite number")
    return number


def label_places(labels: Sequence[str | None], known: Sequence[str]) -> list[int | None]:
    """The places of labels among the known ones: -1 where missing, None where unknown.

    A whole number is the same label with and without decimals, since columns with missing values
    are often written as 1.0, 2.0, … instead of 1, 2, …

    Example:
        >>> label_places(["2.0", None, "3", "b"], ["1", "2", "b"])
        [1, -1, None, 2]
    """
    places = {_without_zeros(name): place for place, name in enumerate(known)}
    places |= {name: place for place, name in enumerate(known)}
    found = {
        label: -1 if label is None else places.get(label, places.get(_without_zeros(label)))
        for label in set(labels)
    }
    return [found[label] for label in labels]


def _without_zeros(label: str) -> str:
    return label.partition(".")[0] if WHOLE.fullmatch(label) else label
