"""Columns of which all values lie on a lattice: a density of them has no bound."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["dequantize", "lattice_step"]

MOST_POINTS = 100_000
LOOKED_AT = 1_000_000
CHUNK_ROWS = 100_000


def lattice_step(column: NDArray[Any]) -> float | None:
    """The step of the lattice on which all values of a column lie, if there is one.

    A lattice is the multiples of the smallest difference, from the smallest value on. One with
    more than 100,000 points between the smallest and the largest value does not count: data are
    always written down with some number of digits. The first million values are looked at.

    Args:
        column: finite values.

    Returns:
        The step in units of the column, or None where there is no lattice, or only one value.

    Example:
        >>> lattice_step(np.array([0.1, 0.2, 0.5])), lattice_step(np.array([0.1, 0.2, 0.57]))
        (0.1, None)
    """
    values = np.unique(np.asarray(column[:LOOKED_AT], np.float64))
    if len(values) < 2:
        return None
    gaps = np.diff(values)
    multiples = gaps / gaps[gaps < 1.5 * gaps.min()].mean()  # rounding errors average out
    points = np.rint(multiples).sum()
    if points > MOST_POINTS or np.abs(multiples - np.rint(multiples)).max() > 0.05:
        return None
    return float(f"{gaps.sum() / points:.6g}")


def dequantize(
    x: NDArray[Any], steps: dict[int, float], *, generator: np.random.Generator
) -> None:
    """Add uniform noise in [0, step) to columns of an array, in place and in bounded memory.

    Args:
        x: `[rows, columns]`, maybe memory-mapped.
        steps: column → step of its lattice.
        generator: of the noise.

    Example:
        >>> dequantize(x := np.zeros((5, 2)), {1: 0.5}, generator=np.random.default_rng(0))
        >>> bool(x[:, 0].any()), bool(((x[:, 1] > 0) & (x[:, 1] < 0.5)).all())
        (False, True)
    """
    columns, widths = list(steps), np.array(list(steps.values()))
    for start in range(0, len(x), CHUNK_ROWS):
        part = x[start : start + CHUNK_ROWS]
        part[:, columns] += generator.random((len(part), len(columns))) * widths
