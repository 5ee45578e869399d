"""With respect to which measure the log-likelihoods of a data set are."""

from typing import Any

from flowbench.data.raw import RawData

__all__ = ["measure", "measure_table"]

NAMED = 20  # columns


def measure(raw: RawData) -> dict[str, Any]:
    """The measure of a data set, as a result tells it.

    "lattice": rows lie on a lattice, and a density, also one of rows with noise of a cell's width,
    is a probability per cell over the volume of cells. "mixed": some columns are on lattices, or
    have atoms, at which probabilities count. "lebesgue": all columns are real numbers.

    Returns:
        `measure`; and for columns that are not real numbers `measure_of_columns`: the names of
        those on lattices, and the values of atoms, or how many columns these are, beyond 20.

    Example:
        >>> import numpy as np
        >>> x = dict.fromkeys(("train", "val", "test"), np.ones((4, 2)))
        >>> measure(RawData(x=x, lattices={"x1": (0, 1)}))
        {'measure': 'mixed', 'measure_of_columns': {'lattice': ['x1'], 'atoms': {}}}
    """
    if raw.discrete or raw.dequantized:
        return {"measure": "lattice"}
    lattices, atoms = list(raw.lattices), dict(raw.atoms)
    if not lattices and not atoms:
        return {"measure": "lebesgue"}
    every = not atoms and len(lattices) == len(raw.feature_names)
    columns = {
        "lattice": lattices if len(lattices) <= NAMED else len(lattices),
        "atoms": atoms if len(atoms) <= NAMED else len(atoms),
    }
    return {"measure": "lattice" if every else "mixed", "measure_of_columns": columns}


def measure_table(raw: RawData) -> str:
    """The measure of each column, as a table; nothing where all are real numbers.

    Example:
        >>> import numpy as np
        >>> x = dict.fromkeys(("train", "val", "test"), np.ones((4, 2)))
        >>> print(measure_table(RawData(x=x, lattices={"x1": (0, 1)}, atoms={"x2": [0.0]})))
        column  measure
        x1      lattice, in steps of 1
        x2      atom 0, else real numbers
    """
    if not raw.lattices and not raw.atoms:
        return ""
    width = max(map(len, ["column", *raw.feature_names[:NAMED]]))
    lines = [("column", "measure")]
    for name in raw.feature_names[:NAMED]:
        values = ", ".join(f"{value:.6g}" for value in raw.atoms.get(name, ()))
        several = "s" if "," in values else ""
        kinds = [f"atom{several} {values}"] if values else []
        kinds.append(
            f"lattice, in steps of {raw.lattices[name][1]:.6g}"
            if name in raw.lattices
            else "real numbers"
        )
        lines.append((name, ", else ".join(kinds)))
    if (more := len(raw.feature_names) - NAMED) > 0:
        lines.append(("…", f"and {more} more columns"))
    return "\n".join(f"{name:<{width}}  {told}" for name, told in lines)
