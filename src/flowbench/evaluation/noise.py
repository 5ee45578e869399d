r"""Dequantisation noise of scored rows.

Where values are discrete, a flow models x = value + u with uniform noise u in a cell of volume V.
The score of one draw, log p(x), depends on the draw. Its expectation is a lower bound,

$$ E_u \log p(x) \le \log E_u p(x) = \log \frac{P(\text{cell})}{V}, $$

and is what published tables estimate, by one draw per row. K draws are averaged in the same sense,
as the mean of log p(x) over the draws: they sharpen the estimate, and do not shift it, as the
logarithm of a mean of p(x) would, which rises with K.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flowbench.data import DataModule, Rows

__all__ = ["RowNoise", "rows_by_draw"]

GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def rows_by_draw(data: DataModule, split: str, draws: int) -> Iterator[Rows]:
    """The rows of a split, then the same under further draws of the noise."""
    yield data.rows[split]
    for draw in range(1, draws):
        yield data.redrawn(split, draw)


class RowNoise:
    """Uniform noise that depends on the values of a row, not on its place among others.

    Args:
        rows: all values `[rows, columns]`, as far as float32 tells them apart.
        draw: which of several draws.

    Example:
        >>> rows = np.array([[1.0, 2.0], [3.0, 4.0]])
        >>> noise = RowNoise(rows, draw=0).random((2, 1))
        >>> bool((noise[::-1] == RowNoise(rows[::-1], draw=0).random((2, 1))).all())
        True
    """

    def __init__(self, rows: NDArray[np.float64], *, draw: int) -> None:
        with np.errstate(over="ignore"):
            values = (rows + 0.0).astype(np.float32)  # no −0
        bits = np.where(np.isnan(values), np.float32(0), values).view(np.uint32).astype(np.uint64)
        self.keys: NDArray[np.uint64] = np.full(len(rows), draw, np.uint64)
        for column in range(bits.shape[1]):
            self.keys = _mixed((self.keys ^ bits[:, column]) + GOLDEN)
        self.row: int = 0

    def random(self, size: tuple[int, int]) -> NDArray[np.floating[Any]]:
        """Noise in [0, 1) for the next rows, `[rows, columns]`."""
        keys = self.keys[self.row : self.row + size[0], None]
        self.row += size[0]
        places = np.arange(1, size[1] + 1, dtype=np.uint64) * GOLDEN
        return (_mixed(keys + places) >> np.uint64(11)) * 2.0**-53


def _mixed(keys: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finaliser of SplitMix64 (Steele, Lea and Flood 2014)."""
    keys = (keys ^ (keys >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    keys = (keys ^ (keys >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return keys ^ (keys >> np.uint64(31))
