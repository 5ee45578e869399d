"""Uniform noise on the lattices of a table, drawn when rows are read."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flowbench.data.selection import Selection
from flowbench.data.table.lattice import dequantize

__all__ = ["with_noise"]

SEED = 42


def with_noise(
    rows: Selection, lattices: Mapping[int, Sequence[float]], *, part: int
) -> Selection:
    """The same rows with uniform noise in [0, step) on the values that lie on their lattices.

    The noise of a row depends on its place in the file alone, not on the split.

    Args:
        rows: rows of an array `[rows, columns]`.
        lattices: column → a point of its lattice and the step.
        part: number of the array, where a table has several.

    Example:
        >>> x = np.arange(6.0)[:, None]
        >>> every = with_noise(Selection(x, np.arange(6)), {0: (0.0, 1.0)}, part=0)[:]
        >>> two = with_noise(Selection(x, np.array([1, 4])), {0: (0.0, 1.0)}, part=0)[:]
        >>> (np.floor(every) == x).all(), (two == every[[1, 4]]).all()
        (np.True_, np.True_)
    """
    if not lattices:
        return rows
    return Selection(_Noisy(rows.array, lattices, part), rows.index, change=rows.change)  # type: ignore[arg-type]


class _Noisy:
    """An array in float64, as far as rows with noise are read from it."""

    def __init__(
        self, array: NDArray[Any], lattices: Mapping[int, Sequence[float]], part: int
    ) -> None:
        self.array = array
        self.lattices = lattices
        self.seed: Any = [SEED, part] if part else SEED
        self.shape = array.shape

    def __getitem__(self, index: NDArray[np.intp]) -> NDArray[np.float64]:
        x = np.asarray(self.array[index], np.float64)
        dequantize(x, self.lattices, generator=_OfRows(index, seed=self.seed))
        return x


class _OfRows:
    """The noise of some rows, in the order of an index."""

    def __init__(self, index: NDArray[np.intp], *, seed: Any) -> None:
        self.index = index
        self.seed = seed
        self.row = 0

    def random(self, size: tuple[int, int]) -> NDArray[np.float64]:
        """Noise in [0, 1) for the next rows, `[rows, columns]`."""
        rows, columns = size
        index = self.index[self.row : self.row + rows]
        self.row += rows
        first, last = int(index.min()), int(index.max())
        bits = np.random.PCG64(self.seed).advance(first * columns)
        return np.random.Generator(bits).random((last + 1 - first, columns))[index - first]
