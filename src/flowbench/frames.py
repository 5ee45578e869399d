"""Columns of a data frame by their names, whichever library it is of."""

from collections.abc import Sequence
from typing import Any

__all__ = ["by_name", "column_names"]


def column_names(value: Any) -> list[str]:
    """The names of a frame's columns; none of what is no frame, or has numbers for names.

    Example:
        >>> import pandas as pd
        >>> column_names(pd.DataFrame({"a": [1.0]})), column_names([[1.0]])
        (['a'], [])
    """
    frame = hasattr(value, "columns") and hasattr(value, "to_numpy")
    names = list(value.columns) if frame else []
    return names if all(isinstance(name, str) for name in names) else []


def by_name(name: str, value: Any, columns: Sequence[str]) -> Any:
    """The columns of a frame that are asked for; what has none of them is taken as it is.

    Raises:
        ValueError: a frame has some of the columns, and others not.

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
    return value[list(columns)]
