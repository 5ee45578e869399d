"""Columns with values that many rows share, where a density is unbounded."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from flowbench.data.chunks import chunks

__all__ = ["NOTABLE", "Discrete", "dequantize", "discreteness", "places"]

NOTABLE = 0.005  # share of the rows at one value
FEWEST = 10  # rows at one value
MOST_POINTS = 100_000
STRAYS = 0.01  # share of the rows; at least one of 20 or more
MOST_DIGITS = 12
FLOAT32 = 2e-7  # relative rounding, of data that once were in this type
MOST_ROUNDING = 0.05  # in steps; beyond it float32 does not hold a lattice
Floats = NDArray[np.floating[Any]]
Doubles = NDArray[np.float64]


class Noise(Protocol):
    """What draws noise, such as a generator of NumPy."""

    def random(self, size: Any) -> Any:
        """Numbers in [0, 1), `[rows, columns]`."""
        ...


class Discrete(NamedTuple):
    """What is discrete about a column.

    Attributes:
        step: of the lattice of its values; None: they lie on none.
        origin: the smallest value on the lattice.
        on: share of the rows on the lattice.
        points: number of points of the lattice between its smallest and its largest value.
        atoms: values that many rows share though the lattice does not explain it, and the shares
            of the rows that hold them, the largest first.
    """

    step: float | None = None
    origin: float = 0.0
    on: float = 0.0
    points: int = 0
    atoms: Sequence[Sequence[float]] = ()

    @property
    def lattice(self) -> tuple[float, float]:
        """A point and the step, if there is one."""
        return self.origin, self.step or 0.0

    @property
    def spikes(self) -> list[float]:
        """The atoms that noise on the lattice leaves as they are."""
        values = [value for value, _ in self.atoms]
        if self.step is None:
            return values
        _, on = places(np.array(values), np.array(self.origin), np.array(self.step))
        return [value for value, noisy in zip(values, on, strict=True) if not noisy]


def discreteness(column: Floats) -> Discrete:
    """The discreteness of a column: a lattice and atoms, if any.

    A lattice is the multiples of a step, from a value on. It need not hold all values: a few rows
    (imputed, mistyped) may lie elsewhere, and if the lattice has at least 20 of the values, up to
    half of the rows. Sought are decimals first, with the largest step that they have in common,
    then multiples of any number. The integer lattice always counts. Another counts with up to
    100,000 points between the smallest and the largest value, or if 1 % of the rows share their
    values with others, since data are always recorded with some number of digits. So does the
    rounding grid of the number type, up to 10,000 points.

    An atom is a value of more than 0.5 % of the rows, off the lattice; on the lattice, if its
    step is below 1/1000 of the standard deviation, since noise of the step leaves a spike.

    Args:
        column: finite values.

    Example:
        >>> ages = np.append(np.arange(40.0), 19.75)  # the last one imputed
        >>> discreteness(ages).step, discreteness(np.array([0.1, 0.2, 0.5])).step
        (1.0, 0.1)
        >>> found = discreteness(np.append(np.zeros(20), np.random.default_rng(0).normal(size=60)))
        >>> found.step, found.atoms
        (None, [(0.0, 0.25)])
    """
    values, counts = np.unique(np.asarray(column, np.float64), return_counts=True)
    if len(values) < 2:
        return Discrete()
    rounding = float(np.spacing(np.abs(column).max()))
    notable = counts > max(NOTABLE * len(column), FEWEST - 1)
    grid = _grid(values, counts, rounding=rounding)
    if grid is not None and not _counts(grid, values, counts, notable, rounding=rounding):
        grid = None
    on = np.zeros(len(values), bool) if grid is None else grid.holds(values)
    fine = grid is None or grid.step < np.std(column, dtype=np.float64) / 1000
    atoms = np.flatnonzero(notable & (~on | fine))
    atoms = atoms[np.argsort(-counts[atoms], kind="stable")]
    shares = (counts[atoms] / len(column)).tolist()
    found = Discrete(atoms=list(zip(values[atoms].tolist(), shares, strict=True)))
    if grid is None:
        return found
    least, most = grid.nearest(values[on].min()), grid.nearest(values[on].max())
    return found._replace(
        step=grid.step,
        origin=least,
        on=float(counts[on].sum() / len(column)),
        points=1 + round((most - least) / grid.step),
    )


class _Grid(NamedTuple):
    step: float
    origin: float

    def holds(self, values: Doubles) -> NDArray[np.bool_]:
        return places(values, np.array(self.origin), np.array(self.step))[1]

    def nearest(self, value: float) -> float:
        return self.origin + float(np.rint((value - self.origin) / self.step)) * self.step


def _counts(
    grid: _Grid,
    values: Doubles,
    counts: NDArray[np.intp],
    notable: NDArray[np.bool_],
    *,
    rounding: float,
) -> bool:
    """Whether a lattice is more than the digits that any data have."""
    on = grid.holds(values)
    points = (values[on].max() - values[on].min()) / grid.step
    if grid.step <= 4 * rounding:
        return points <= 10_000
    others = counts[on & ~notable]
    repeated = 1 - len(others) / max(1, others.sum())
    whole = not (values[on] % 1).any() and np.abs(values[on]).max() < 2**53
    return whole or points <= MOST_POINTS or repeated > 0.01


def _grid(values: Doubles, counts: NDArray[np.intp], *, rounding: float) -> _Grid | None:
    """The lattice of most values, be it of decimals or of multiples of any number."""
    ordered = np.sort(counts)
    typical = ordered[np.searchsorted(ordered.cumsum(), counts.sum() / 2)]  # of a row's value
    capped = np.minimum(counts, 3 * typical).astype(np.float64)
    weights = capped.copy()
    weights[counts.argmax()] = 0  # a single value fits any lattice
    weights /= weights.sum()
    strays = max(STRAYS, 1.5 / counts.sum()) if len(values) > 20 else STRAYS
    few = slice(None, None, max(1, len(values) // 20_000))
    for digits in range(MOST_DIGITS + 1):
        first = _on_decimals(values[few], digits, rounding)
        if first is None:
            break
        if weights[few][first].sum() < 0.4 * weights[few].sum():
            continue
        on = _on_decimals(values, digits, rounding)
        share = 0.0 if on is None else weights[on].sum()
        if on is None or share < 0.5:
            continue
        finer = _on_decimals(values, digits + 2, rounding)
        gained = 0.0 if finer is None else weights[finer & ~on].sum()
        mixed = on.sum() >= 20 and gained < (1 - share) / 5
        if share >= 1 - strays or mixed:
            whole = np.rint(values[on] * 10.0**digits)
            step, origin = _common_step(whole, capped[on], strays)
            return _Grid(step / 10.0**digits, origin / 10.0**digits)
    return _multiples(values, weights, strays)


def _on_decimals(values: Doubles, digits: int, rounding: float) -> NDArray[np.bool_] | None:
    """Which values have at most so many decimals; None: rounding hides it."""
    scale = 10.0**digits
    if digits and rounding * scale > 0.05:
        return None
    scaled = values * scale
    return np.abs(scaled - np.rint(scaled)) <= (rounding * scale if digits else 0)


def _common_step(whole: Doubles, weights: Doubles, strays: float) -> tuple[float, float]:
    """The largest step that nearly all differences of whole numbers are multiples of."""
    generator = np.random.default_rng(0)
    best, origin = 0.0, float(whole[weights.argmax()])
    exact = np.abs(whole) < 2**62
    share = weights / weights.sum()
    for start, size in _subsets(len(whole)):
        chosen = np.arange(len(whole)) if start else generator.choice(len(whole), size, p=share)
        integers = whole[chosen][exact[chosen]].astype(np.int64)
        step = float(np.gcd.reduce(integers - integers[0])) if len(integers) else 0.0
        if step > best:
            place = (whole - whole[chosen[0]]) / step
            if share[place == np.rint(place)].sum() >= 1 - strays:
                best, origin = step, float(whole[chosen[0]])
    return best or 1.0, origin


def _subsets(values: int) -> Iterator[tuple[bool, int]]:
    """All values, then few at a time, most of which have no stray among them."""
    yield True, values
    for _ in range(20):
        yield False, min(values, 16)


def _multiples(values: Doubles, weights: Doubles, strays: float) -> _Grid | None:
    """The lattice of nearly all values, tried from several of their gaps."""
    gaps = np.diff(values)
    for share in (0, 0.02, 0.1, 0.25, 0.5):
        first = np.quantile(gaps, share, method="lower")
        near = gaps[(gaps < 1.5 * first) & (gaps > first / 1.5)]
        with np.errstate(over="ignore", invalid="ignore"):  # infinite multiples are no good ones
            multiples = gaps / near.mean()  # rounding errors average out
            good = (np.abs(multiples - np.rint(multiples)) < 0.05) & (multiples > 0.5)
        if good.mean() < 0.5:
            continue
        step = float(gaps[good].sum() / np.rint(multiples[good]).sum())
        grid = _refined(_Grid(step, float(values[weights.argmax()])), values)
        if weights[grid.holds(values)].sum() >= 1 - strays:
            return grid
    return None


def _refined(grid: _Grid, values: Doubles) -> _Grid:
    """The lattice with the step that fits its values best, strays near to it left out."""
    place = (values - grid.origin) / grid.step
    near = np.abs(place - np.rint(place)) < 0.05
    on, place = values[near], np.rint(place[near])
    for _ in range(3):
        if len(set(place)) < 2:
            return grid
        step, origin = np.polyfit(place, on, 1)
        error = np.abs(on - origin - step * place)
        kept = error <= 3 * np.median(error) + 1e-9 * step
        on, place = on[kept], place[kept]
    return _Grid(float(step), float(origin))


def places(values: Floats, origins: Doubles, steps: Doubles) -> tuple[Floats, NDArray[np.bool_]]:
    """Positions on lattices, in steps from their origins, and which values lie on them.

    Example:
        >>> places(np.array([1.0, 1.3]), np.array(0.0), np.array(0.5))
        (array([2. , 2.6]), array([ True, False]))
    """
    with np.errstate(invalid="ignore"):  # infinity is on no lattice
        rounding = np.minimum(1e-4 + FLOAT32 * np.abs(values) / steps, MOST_ROUNDING)
        place = (values - origins) / steps
        return place, np.abs(place - np.rint(place)) < rounding


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
        _, on = places(values, origins, steps)
        part[:, columns] = values + on * generator.random(values.shape) * steps
