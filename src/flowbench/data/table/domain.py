"""Columns that are confined: between bounds, or on a circle."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from flowbench.config.words import did_you_mean
from flowbench.data.moments import moments
from flowbench.data.options import DataError
from flowbench.data.selection import Selection
from flowbench.formatting import counted

__all__ = [
    "Bounds",
    "Circular",
    "bounds_of",
    "domain_warnings",
    "periods_of",
    "refuse_outside",
    "refuse_unmodelled",
]

Bounds = Mapping[str | int, Sequence[float | None]]
Circular = Mapping[str | int, float] | Sequence[Mapping[str | int, float] | str]

PERIODS = {24.0: "24", 360.0: "360", 2 * math.pi: "6.283185307179586"}
NEAR = 0.05  # of the width, from an end
MASS = 0.02  # share of the rows near each end


def bounds_of(given: Bounds | None) -> dict[str, list[float | None]]:
    """`data.bounds`, checked: column → its lower and upper bound.

    Raises:
        DataError: a column does not have two rising bounds, of which one may be null.

    Example:
        >>> bounds_of({"share": [0, 1], "price": [0, None]})
        {'share': [0, 1], 'price': [0, None]}
    """
    bounds = {}
    for name, ends in (given or {}).items():
        low, high = ends if len(ends) == 2 else (None, None)
        known = [end for end in (low, high) if end is not None]
        if not known or not all(map(math.isfinite, known)) or sorted(set(known)) != known:
            raise DataError(
                f"data.bounds={{{name}: {_plain(ends)}}}: expected a lower and a larger upper "
                "bound, one of which may be null"
            )
        bounds[str(name)] = [low, high]
    return bounds


def periods_of(given: Circular | None) -> dict[str, float]:
    """`data.circular_columns`, checked: column → its period.

    Raises:
        DataError: a period is not a positive number.

    Example:
        >>> periods_of({"hour": 24}), periods_of([{"hour": 24}]), periods_of(["hour: 24"])
        ({'hour': 24.0}, {'hour': 24.0}, {'hour': 24.0})
    """
    periods = {}
    for part in [given] if isinstance(given, Mapping) else given or []:
        # Hydra reads the entries of [hour: 24] as text.
        pairs = part.items() if isinstance(part, Mapping) else [part.rpartition(":")[::2]]
        for name, period in pairs:
            try:
                periods[str(name).strip()] = number = float(period)
            except ValueError:
                number = math.nan
            if not (0 < number < math.inf and str(name).strip()):
                raise DataError(
                    f"data.circular_columns: {_plain(part)} gives no column with its positive "
                    "period, such as {hour: 24}"
                )
    return periods


def refuse_unmodelled(
    names: Sequence[str], options: Mapping[str, Sequence[str]], *, contexts: Sequence[str]
) -> None:
    """Refuse confined columns that are not modelled, or are confined twice.

    Args:
        names: the modelled columns.
        options: key → the columns that it names.
        contexts: the columns of the context.

    Raises:
        DataError: naming the key and the column.
    """
    keys: dict[str, str] = {}
    for key, columns in options.items():
        for name in columns:
            if name in contexts:
                raise DataError(f"{key}: {name!r} is a context; expected a modelled column")
            if name not in names:
                near = did_you_mean(name, names) or f"; they are {', '.join(names)}"
                raise DataError(f"{key}: {name!r} is not among the modelled columns{near}")
            if name in keys:
                raise DataError(f"{keys[name]} and {key} both name {name!r}, expected one of them")
            keys[name] = key


def refuse_outside(
    x: Mapping[str, Selection], names: Sequence[str], bounds: Mapping[str, Any], *, where: str
) -> None:
    """Refuse values on a bound or beyond it: they have no place on the line.

    Args:
        x: split → its rows.
        names: names of the columns.
        bounds: column → its lower and upper bound.
        where: how messages refer to the rows.

    Raises:
        DataError: naming the column, the rows and bounds that would do.
    """
    for name, (low, high) in bounds.items():
        column = list(names).index(name)
        beyond, on, first, room = 0, 0, None, math.inf
        for rows in x.values():
            for part in rows.chunks():
                inward = [
                    sign * (part[:, column] - end)
                    for sign, end in ((1, low), (-1, high))
                    if end is not None
                ]
                for distance in inward:
                    beyond += int((distance < 0).sum())
                    on += int((distance == 0).sum())
                    if len(inside := distance[distance > 0]):
                        room = min(room, float(inside.min()))
                    if first is None and (distance <= 0).any():
                        first = float(part[(distance <= 0).argmax(), column])
        if beyond:
            raise DataError(
                f"{where}: column {name!r} is outside of data.bounds={{{name}: "
                f"{_plain([low, high])}}} in {counted(beyond, 'rows')}, such as {first:g}; "
                "expected wider bounds"
            )
        if on:
            wider = [
                None if end is None else float(f"{end + sign * room / 2:.12g}")
                for sign, end in ((-1, low), (1, high))
            ]
            raise DataError(
                f"{where}: column {name!r} is exactly at a bound in {counted(on, 'rows')}, such "
                f"as {first:g}, where it has no place on the line; data.bounds={{{name}: "
                f"{_plain(wider)}}} leaves half the smallest distance between the values and the "
                "bounds"
            )


def domain_warnings(
    train: Selection, names: Sequence[str], *, taken: Sequence[str], periods: Mapping[str, float]
) -> Iterator[str]:
    """Columns that look confined, and circular ones that span more than their period.

    A column looks confined if at least 2 % of its values lie within 5 % of either end of [0, 1],
    where bounds help, or of [0, 24], [0, 360] or [0, 2π], which may be a circle.

    Args:
        train: the training rows.
        names: names of the columns.
        taken: columns that are confined already.
        periods: circular columns → their period.
    """
    found = moments(train)
    for name, period in periods.items():
        column = list(names).index(name)
        low, high = found.low[column], found.high[column]
        if high - low > period * (1 + 1e-9):
            yield (
                f"the values of {name!r} span {low:g} … {high:g}, more than their period "
                f"{period:g}: they are taken modulo {period:g}"
            )
    for column, name in enumerate(names):
        if name in taken:
            continue
        low, high = found.low[column], found.high[column]
        fitting = [width for width in (1.0, *PERIODS) if low >= 0 and 0.95 * width < high <= width]
        if not fitting or not _crowds(train, column, fitting[0]):
            continue
        if fitting[0] == 1.0:
            yield (
                f"the values of {name!r} fill [0, 1] up to its ends; "
                f"'data.bounds={{{name}: [0, 1]}}' keeps the density in between"
            )
        else:
            period = PERIODS[fitting[0]]
            yield (
                f"the values of {name!r} fill [0, {fitting[0]:g}] up to its ends; if these are "
                f"one point, 'data.circular_columns={{{name}: {period}}}' joins them"
            )


def _crowds(train: Selection, column: int, width: float) -> bool:
    """Whether many values lie near both ends of [0, width], and some in between."""
    near, inner = [0, 0], 0
    for part in train.chunks():
        values = part[:, column]
        near[0] += int((values <= NEAR * width).sum())
        near[1] += int((values >= (1 - NEAR) * width).sum())
        inner += int(((values > NEAR * width) & (values < (1 - NEAR) * width)).sum())
    return min(near) >= MASS * len(train) and inner > 0


def _plain(value: Any) -> str:
    """A list as a configuration writes it."""
    return str(value).replace("None", "null").replace("'", "")
