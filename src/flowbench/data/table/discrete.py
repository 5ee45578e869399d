"""What is told about columns with values that many rows share."""

from collections.abc import Mapping
from typing import Any

from flowbench.data.options import DataError
from flowbench.data.table.lattice import Discrete
from flowbench.data.table.overrides import override

__all__ = ["discrete_table", "refuse_spikes"]


def refuse_spikes(found: Mapping[str, Discrete], *, where: str) -> None:
    """Refuse to add noise to a table if that leaves a value that many rows share.

    Raises:
        DataError: naming the columns, their values, and the options that leave them out.
    """
    spikes = {name: one for name, one in found.items() if one.spike}
    if spikes:
        told = ", ".join(
            f"{name!r} ({one.atom:.10g} in {one.share:.1%} of the rows)"
            for name, one in spikes.items()
        )
        marks = override(
            "data.missing", dict.fromkeys(_plain(one.atom) for one in spikes.values())
        )
        raise DataError(
            f"{where}: data.dequantize=true adds noise to values on a lattice, which leaves those "
            f"off it that many rows share: {told}; {marks} leaves out the rows that hold them, "
            "data.columns=[...] the columns"
        )


def discrete_table(found: Mapping[str, Mapping[str, Any]], *, dequantize: bool) -> str:
    """The findings as a table with one line per column.

    Args:
        found: name → the fields of `Discrete`.
        dequantize: whether noise was added to the lattices.

    Example:
        >>> age = Discrete(step=1.0, origin=18.0, on=0.9, atom=36.4, share=0.1)
        >>> print(discrete_table({"age": age._asdict()}, dequantize=False))
        column  values                   rows  data.dequantize=true
        age     from 18 in steps of 1   90.0%  adds noise of the step
        age     36.4                    10.0%  refuses it
    """
    lines = [("column", "values", "rows", "data.dequantize=true")]
    for name, fields in found.items():
        one = Discrete(**fields)
        if one.step is not None:
            values = f"from {one.origin:.6g} in steps of {one.step:.6g}"
            does = "has added noise of the step" if dequantize else "adds noise of the step"
            lines.append((name, values, f"{one.on:.1%}", does))
        if one.atom is not None:
            does = "refuses it" if one.spike else "spreads it over one step"
            lines.append((name, f"{one.atom:.6g}", f"{one.share:.1%}", does))
    widths = [max(map(len, column)) for column in list(zip(*lines, strict=True))[:3]]
    return "\n".join(
        f"{name:<{widths[0]}}  {values:<{widths[1]}}  {rows:>{widths[2]}}  {does}"
        for name, values, rows, does in lines
    )


def _plain(value: float | None) -> float | int:
    number = float(value or 0)
    return int(number) if number.is_integer() and abs(number) < 2**53 else number
