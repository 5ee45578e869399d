"""What is told about columns with values that many rows share."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from flowbench.data.options import DataError
from flowbench.data.table.lattice import Discrete
from flowbench.data.table.overrides import override

__all__ = ["discrete_table", "measures_of", "refuse_spikes"]

MOST_POINTS = 2**18  # which rows in float32 tell apart
SHOWN = 3


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
        if one.step is not None and one.points <= MOST_POINTS:
            lattices[name] = one.lattice
        values = one.spikes if name in lattices else [value for value, _ in one.atoms]
        if values:
            atoms[name] = sorted(values)
        if asked != "auto" and name not in lattices and name not in atoms:
            raise DataError(
                f"{where}: data.discrete_columns names {name!r}, whose values lie on no lattice "
                "of up to 262,144 points, and none of which is that of many rows; leave it out"
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
