"""Columns with values that many rows share, where a density is unbounded."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from flowbench.data.chunks import chunks

__all__ = ["NOTABLE", "Discrete", "dequantize", "discreteness"]

NOTABLE = 0.005  # share of the rows at one value
FEWEST = 10  # rows at one value
MOST_POINTS = 100_000
Floats = NDArray[np.floating[Any]]


class Noise(Protocol):
    """What draws noise, such as a generator of NumPy."""

    def random(self, size: Any) -> Any:
        """Numbers in [0, 1), `[rows, columns]`."""
        ...


class Discrete(NamedTuple):
    """The step of the lattice of all values, and a value shared by many rows with their share."""

    step: float | None = None
    atom: float | None = None
    share: float = 0.0


def discreteness(column: Floats) -> Discrete:
    """The discreteness of a column: a lattice or an atom, if any.

    A lattice is the multiples of a step, from the smallest value on. The integer lattice always
    counts. Another counts with up to 100,000 points between the smallest and the largest value,
    or if 1 % of the rows share their values with others, since data are always recorded with some
    number of digits. So does the rounding grid of the number type, up to 10,000 points.

    An atom is a value of more than 0.5 % of the rows, unless the column has a lattice with
    a step of at least 1/1000 of the standard deviation, whose points have such shares anyway.

    Args:
        column: finite values.

    Example:
        >>> discreteness(np.array([0.1, 0.2, 0.5])).step, discreteness(np.array([1, 2, 3.3])).step
        (0.1, None)
        >>> discreteness(np.append(np.zeros(20), np.random.default_rng(0).normal(size=60)))
        Discrete(step=None, atom=0.0, share=0.25)
    """
    values, counts = np.unique(np.asarray(column, np.float64), return_counts=True)
    if len(values) < 2:
        return Discrete()
    most, share = counts.argmax(), float(counts.max() / len(column))
    notable = counts > max(NOTABLE * len(column), FEWEST - 1)
    others = counts[~notable]
    repeated = 1 - len(others) / max(1, others.sum())
    rounding = float(4 * np.spacing(np.abs(column).max()))
    step = _step(values, repeated=repeated, rounding=rounding)
    if notable.any() and (step is None or step < np.std(column, dtype=np.float64) / 1000):
        return Discrete(step, float(values[most]), share)
    return Discrete(step)


def _step(values: NDArray[np.float64], *, repeated: float, rounding: float) -> float | None:
    gaps = np.diff(values)
    whole = not (values % 1).any() and np.abs(values).max() < 2**53
    if whole:
        step = float(np.gcd.reduce(gaps.astype(np.int64)))
    else:
        multiples = gaps / gaps[gaps < 1.5 * gaps.min()].mean()  # rounding errors average out
        if np.abs(multiples - np.rint(multiples)).max() > 0.05:
            return None
        step = float(gaps.sum() / np.rint(multiples).sum())
    points = gaps.sum() / step
    if step <= rounding:
        return step if points <= 10_000 else None
    return step if whole or points <= MOST_POINTS or repeated > 0.01 else None


def dequantize(x: Floats, lattices: Mapping[int, Sequence[float]], *, generator: Noise) -> None:
    """Add uniform noise in [0, step) to the values of columns that lie on their lattices.

    This is done in place and in bounded memory; other values are left unchanged.

    Args:
        x: `[rows, columns]`, maybe memory-mapped.
        lattices: column → a point of its lattice and the step.
        generator: draws the noise of the next rows.

    Example:
        >>> x = np.array([[0.0, 1.0], [0.0, 1.3]])
        >>> dequantize(x, {1: (0.0, 0.5)}, generator=np.random.default_rng(0))
        >>> x.round(2).tolist()
        [[0.0, 1.32], [0.0, 1.3]]
    """
    columns = list(lattices)
    origins, steps = np.array(list(lattices.values())).reshape(-1, 2).T
    for rows in chunks(*x.shape):
        part = x[rows]
        values = part[:, columns]
        rounding = 1e-4 + 2e-7 * np.abs(values) / steps  # of float32
        with np.errstate(invalid="ignore"):  # infinity is on no lattice
            place = (values - origins) / steps
            on = np.abs(place - np.rint(place)) < rounding
        part[:, columns] = values + on * generator.random(values.shape) * steps
