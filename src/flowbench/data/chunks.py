"""Large arrays are processed in chunks."""

from collections.abc import Iterator
from math import prod

__all__ = ["chunks"]

CHUNK_VALUES = 2**21


def chunks(rows: int, *row_shape: int, values: int = CHUNK_VALUES) -> Iterator[slice]:
    """Slices that together cover all rows of an array `[rows, *row_shape]`, in order.

    Args:
        rows: number of rows of the array.
        row_shape: shape of a row; scalar by default.
        values: maximum number of values in a slice, unless a single row has more.

    Example:
        >>> list(chunks(5, 3, values=6))
        [slice(0, 2, None), slice(2, 4, None), slice(4, 6, None)]
    """
    step = max(1, values // max(1, prod(row_shape)))
    return (slice(start, start + step) for start in range(0, rows, step))
