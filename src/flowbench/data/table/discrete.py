"""Columns with values that many rows share: found in training rows, and told."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from flowbench.config.overrides import override
from flowbench.data.options import DataError
from flowbench.data.selection import Selection
from flowbench.data.table.lattice import Discrete, discreteness, places
from flowbench.flows.columns import MOST_LEVELS

__all__ = [
    "discrete_table",
    "discrete_targets",
    "measures_of",
    "outside_lattices",
    "refuse_spikes",
]

LOOKED_AT = 200_000  # rows
SHOWN = 3


def discrete_targets(train: Selection, names: Sequence[str]) -> dict[str, Discrete]:
    """What is discrete about columns, by name, as far as anything is.

    Args:
        train: the training rows, of which about 200,000 are looked at; these columns come first.
        names: of the columns.

    Example:
        >>> train = Selection(np.arange(30.0)[:, None], np.arange(3, 30))
        >>> discrete_targets(train, ["n"])["n"].lattice
        (3.0, 1.0)
    """
    index, found = train.index[:: max(1, len(train) // LOOKED_AT)], {}
    for column, name in enumerate(names):
        values = np.asarray(train.array[index, column])
        found[name] = discreteness(values[~np.isnan(values)])
    return {name: one for name, one in found.items() if one.step is not None or one.atoms}


def outside_lattices(
    splits: Mapping[str, Selection],
    names: Sequence[str],
    *,
    lattices: Mapping[str, Sequence[float]],
    atoms: Mapping[str, Sequence[float]],
) -> dict[str, dict[str, dict[str, int]]]:
    """How many rows of each split have a value that is not a level of the training rows.

    Args:
        splits: "train" and others → rows without noise, these columns first.
        names: of the columns.
        lattices: column → a point of its lattice and the step.
        atoms: column → values that have probabilities of their own.

    Returns:
        "off": between the points of the lattice; "beyond": on it, but below or above all training
        rows. In each, column → split → number of rows, without zeros.

    Example:
        >>> x = np.array([[1.0], [3.0], [2.5], [9.0]])
        >>> rows = {"train": Selection(x, np.arange(2)), "test": Selection(x, np.arange(2, 4))}
        >>> outside_lattices(rows, ["n"], lattices={"n": (0.0, 1.0)}, atoms={})
        {'off': {'n': {'test': 1}}, 'beyond': {'n': {'test': 1}}}
    """
    found: dict[str, dict[str, dict[str, int]]] = {"off": {}, "beyond": {}}
    for name, (origin, step) in lattices.items():
        column, own = list(names).index(name), list(atoms.get(name, ()))
        ends: list[float] = [np.inf, -np.inf]
        for split, rows in splits.items():
            counts = {"off": 0, "beyond": 0}
            for index in np.array_split(rows.index, max(1, len(rows) // LOOKED_AT)):
                values = np.asarray(rows.array[index, column], np.float64)
                values = values[~(np.isnan(values) | np.isin(values, own))]
                place, on = places(values, np.array(origin), np.array(step))
                level = np.rint(place[on])
                if split == "train":
                    ends = [level.min(initial=ends[0]), level.max(initial=ends[1])]
                counts["off"] += int((~on).sum())
                counts["beyond"] += int(((level < ends[0]) | (level > ends[1])).sum())
            for kind, count in counts.items():
                if count:
                    found[kind].setdefault(name, {})[split] = count
    return found


def refuse_spikes(found: Mapping[str, Discrete], *, where: str) -> None:
    """Refuse to add noise to a table if that leaves a value that many rows share.

    Raises:
        DataError: naming the columns, their values, and the options that leave them out.
    """
    spikes = {name: one.spikes for name, one in found.items() if one.spikes}
    if spikes:
        shares = {
            name: {value: share for value, share in one.atoms} for name, one in found.items()
        }
        told = ", ".join(
            f"{name!r} ({value:.10g} in {shares[name][value]:.1%} of the rows)"
            for name, values in spikes.items()
            for value in values[:SHOWN]
        )
        marks = override(
            "data.missing",
            dict.fromkeys(_plain(value) for values in spikes.values() for value in values),
        )
        raise DataError(
            f"{where}: data.dequantize=true adds noise to values on a lattice, which leaves those "
            f"off it that many rows share: {told}; data.discrete_columns=auto gives them "
            f"probabilities of their own (model=made_mixed), {marks} leaves out the rows that "
            "hold them, data.columns=[...] the columns"
        )


def measures_of(
    found: Mapping[str, Discrete], asked: Literal["auto"] | Sequence[str], *, where: str
) -> tuple[dict[str, tuple[float, float]], dict[str, list[float]]]:
    """The lattices and the atoms of the columns that `data.discrete_columns` asks for.

    A lattice of more than 2¹⁸ points counts as real numbers.

    Args:
        found: column → what is discrete about it.
        asked: names of columns, or "auto": all.
        where: how messages refer to the table.

    Returns:
        Column → a point of its lattice and the step; column → its atoms.

    Raises:
        DataError: a column has neither.

    Example:
        >>> rain = Discrete(atoms=[(0.0, 0.4)])
        >>> measures_of({"rain": rain, "age": Discrete(step=1.0, points=90)}, "auto", where="t")
        ({'age': (0.0, 1.0)}, {'rain': [0.0]})
    """
    lattices, atoms = {}, {}
    for name in found if asked == "auto" else asked:
        one = found.get(name, Discrete())
        if one.step is not None and one.points <= MOST_LEVELS:
            lattices[name] = one.lattice
        values = one.spikes if name in lattices else [value for value, _ in one.atoms]
        if values:
            atoms[name] = sorted(values)
        if asked != "auto" and name not in lattices and name not in atoms:
            raise DataError(
                f"{where}: data.discrete_columns names {name!r}, whose values lie on no lattice "
                f"of up to {MOST_LEVELS:,} points, and none of which is that of many rows; "
                "leave it out"
            )
    return lattices, atoms


def discrete_table(found: Mapping[str, Mapping[str, Any]]) -> str:
    """The findings as a table with one line per column.

    Args:
        found: name → the fields of `Discrete`.

    Example:
        >>> age = Discrete(step=1.0, origin=18.0, on=0.9, atoms=[(36.4, 0.1)])
        >>> print(discrete_table({"age": age._asdict()}))
        column  values                   rows  data.dequantize=true
        age     from 18 in steps of 1   90.0%  adds noise of the step
        age     36.4                    10.0%  refuses it
    """
    lines = [("column", "values", "rows", "data.dequantize=true")]
    for name, fields in found.items():
        one = Discrete(**fields)
        if one.step is not None:
            values = f"from {one.origin:.6g} in steps of {one.step:.6g}"
            lines.append((name, values, f"{one.on:.1%}", "adds noise of the step"))
        for value, share in one.atoms[:SHOWN]:
            does = "refuses it" if value in one.spikes else "spreads it over one step"
            lines.append((name, f"{value:.6g}", f"{share:.1%}", does))
    widths = [max(map(len, column)) for column in list(zip(*lines, strict=True))[:3]]
    return "\n".join(
        f"{name:<{widths[0]}}  {values:<{widths[1]}}  {rows:>{widths[2]}}  {does}"
        for name, values, rows, does in lines
    )


def _plain(value: float) -> float | int:
    number = float(value)
    return int(number) if number.is_integer() and abs(number) < 2**53 else number
