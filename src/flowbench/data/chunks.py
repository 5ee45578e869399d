"""Large arrays are treated piece by piece."""

import math
from collections.abc import Iterator

__all__ = ["chunks"]

CHUNK_VALUES = 2**21


def chunks(rows: int, *sizes: int, values: int = CHUNK_VALUES) -> Iterator[slice]:
    """Slices that together are all rows of an array `[rows, …]`, in their order.

    Args:
        rows: of the array.
        *sizes: of its other dimensions.
        values: how many a slice has, at most, unless a single row has more.

    Example:
        >>> list(chunks(5, 3, values=6))
        [slice(0, 2, None), slice(2, 4, None), slice(4, 6, None)]
    """
    step = max(1, values // max(1, math.prod(sizes)))
    return (slice(start, start + step) for start in range(0, rows, step))
