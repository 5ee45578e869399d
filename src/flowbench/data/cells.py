"""Rows of columns on lattices stay in their cells when they are rounded."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from flowbench.transforms.lattice import LatticeCoordinates
from flowbench.transforms.steps import steps_of

__all__ = ["in_own_cells"]


def in_own_cells(
    names: Sequence[str],
    lattices: Mapping[str, Sequence[float]],
    preprocess: Sequence[Mapping[str, Any]],
) -> Callable[[Tensor, Tensor], Tensor]:
    """Moves rounded rows by a rounding error where that brings them to their cells.

    Args:
        names: of the columns.
        lattices: column → a point of its lattice and the step.
        preprocess: the steps from data units to model space.

    Returns:
        Maps rows in data units, float64 `[rows, columns]`, and rounded ones in model space to the
        latter.

    Example:
        >>> moved = in_own_cells(["n"], {"n": (0.0, 1.0)}, [])
        >>> x = torch.tensor([[999_999.99]], dtype=torch.float64)
        >>> x.float(), moved(x, x.float())
        (tensor([[1000000.]]), tensor([[999999.9375]]))
    """
    columns = [index for index, name in enumerate(names) if name in lattices]
    if not columns:
        return lambda x, row: row
    origin, step = zip(*[lattices[names[index]] for index in columns], strict=True)
    own = list(steps_of(columns, preprocess, features=len(names)))
    cells = LatticeCoordinates(len(columns), origin=origin, step=step, preprocess=own)

    def moved(x: Tensor, row: Tensor) -> Tensor:
        part = cells.rounded(x[:, columns], row[:, columns])
        return row.index_copy(1, torch.tensor(columns), part)

    return moved
