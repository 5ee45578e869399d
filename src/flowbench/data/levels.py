"""The levels of columns that lie on lattices."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flowbench.data.chunks import chunks

__all__ = ["lattice_of"]


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
    points, steps = np.array([lattices[name] for name in names], np.float64).T
    parts = [x[part] for part in chunks(*x.shape)]
    lowest = np.min([part.min(0) for part in parts], axis=0)
    highest = np.max([part.max(0) for part in parts], axis=0)
    first, last = (np.floor((end - points) / steps) for end in (lowest, highest))
    return {
        "levels": (last - first + 1).astype(int).tolist(),
        "origin": (points + first * steps).tolist(),
        "step": steps.tolist(),
        "unbounded": True,
    }
