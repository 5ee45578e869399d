"""Large arrays are treated piece by piece."""

from collections.abc import Iterator
from math import prod

__all__ = ["chunks"]

CHUNK_VALUES = 2**21


def chunks(rows: int, *row_shape: int, values: int = CHUNK_VALUES) -> Iterator[slice]:
    """Slices that together are all rows of an array `[rows, *row_shape]`, in their order.

    Args:
        rows: of the array.
        row_shape: shape of a row; numbers by default.
        values: how many a slice has, at most, unless a single row has more.

    Example:
        >>> list(chunks(5, 3, values=6))
        [slice(0, 2, None), slice(2, 4, None), slice(4, 6, None)]
    """
    step = max(1, values // max(1, prod(row_shape)))
    return (slice(start, start + step) for start in range(0, rows, step))
