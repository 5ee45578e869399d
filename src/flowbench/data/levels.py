"""The lattices and single values of columns, as models are told of them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flowbench.data.chunks import chunks

__all__ = ["lattice_of", "measure_of"]


def lattice_of(
    x: NDArray[Any], names: Sequence[str], lattices: Mapping[str, Sequence[float]]
) -> dict[str, Any] | None:
    """The lattice of dequantized rows, whose levels are those between their extremes.

    Args:
        x: training rows `[rows, columns]`, with noise; maybe memory-mapped.
        names: of the columns.
        lattices: column → a point of its lattice and the step.

    Returns:
        Values of `flowbench.flows.lattice_description.Lattice`; None if a column is on no lattice.

    Example:
        >>> x = np.array([[20.3], [24.9], [22.5]])
        >>> lattice_of(x, ["age"], {"age": (22.0, 1.0)})
        {'levels': [5], 'origin': [20.0], 'step': [1.0], 'unbounded': True}
    """
    if any(name not in lattices for name in names):
        return None
    columns = _lattices(x, names, lattices).values()
    keys = ("levels", "origin", "step")
    return {key: [column[key] for column in columns] for key in keys} | {"unbounded": True}


def measure_of(
    x: NDArray[Any],
    names: Sequence[str],
    lattices: Mapping[str, Sequence[float]],
    atoms: Mapping[str, Sequence[float]],
) -> list[dict[str, Any]]:
    """The measure of each column: its lattice and its atoms, as far as there are any.

    Args:
        x: training rows `[rows, columns]`, with noise on lattices; maybe memory-mapped.
        names: of the columns.
        lattices: column → a point of its lattice and the step.
        atoms: column → single values with probabilities of their own.

    Returns:
        Values of `flowbench.flows.columns.Column` for each column.

    Example:
        >>> x = np.array([[20.3, 0.0], [24.9, 1.7]])
        >>> measure_of(x, ["age", "rain"], {"age": (22.0, 1.0)}, {"rain": [0.0]})
        [{'levels': 5, 'origin': 20.0, 'step': 1.0}, {'atoms': [0.0]}]
    """
    found = _lattices(x, names, lattices)
    own = {name: {"atoms": list(values)} for name, values in atoms.items()}
    return [found.get(name, {}) | own.get(name, {}) for name in names]


def _lattices(
    x: NDArray[Any], names: Sequence[str], lattices: Mapping[str, Sequence[float]]
) -> dict[str, dict[str, Any]]:
    """The levels between the extremes of columns that lie on lattices."""
    chosen = [name for name in names if name in lattices]
    if not chosen:
        return {}
    points, steps = np.array([lattices[name] for name in chosen], np.float64).T
    places = [list(names).index(name) for name in chosen]
    ends = [
        (part.min(0), part.max(0)) for part in (x[rows][:, places] for rows in chunks(*x.shape))
    ]
    lowest, highest = np.min([low for low, _ in ends], 0), np.max([high for _, high in ends], 0)
    first, last = (np.floor((end - points) / steps) for end in (lowest, highest))
    levels, origins = (last - first + 1).astype(int), points + first * steps
    each = zip(levels.tolist(), origins.tolist(), steps.tolist(), strict=True)
    return {
        name: {"levels": count, "origin": origin, "step": step}
        for name, (count, origin, step) in zip(chosen, each, strict=True)
    }
