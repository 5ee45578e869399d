"""Samples whose values are those that the columns of a table have: points of lattices, atoms."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flowbench.flows.columns import ROUNDING
from flowbench.transforms import Transform

__all__ = ["own_values"]


def own_values(
    x: Tensor,
    preprocess: Transform,
    *,
    names: Sequence[str],
    lattices: Mapping[str, Sequence[float]],
    atoms: Mapping[str, Sequence[float]],
) -> Tensor:
    """Samples in float64, those in cells of lattices as the points of these cells.

    A value that float32 does not tell in model space from an atom, or from the lower edge of a
    cell, is there.

    Args:
        x: samples in data units, `[..., columns]`.
        preprocess: maps model space to data units.
        names: of the columns.
        lattices: column → a point of its lattice and the step.
        atoms: column → single values with probabilities of their own.

    Example:
        >>> from flowbench.transforms import Chain
        >>> of = {"names": ["price", "u"], "lattices": {"price": (1.25, 0.02)}, "atoms": {}}
        >>> own_values(torch.tensor([[41.98, 7.5]]), Chain(), **of).tolist()
        [[41.97, 7.5]]
    """
    x = x.double()
    own, u = x.clone(), preprocess.inverse(x)[0]
    highest = preprocess(u * (1 + u.sign() * torch.finfo(torch.float32).eps / 2))[0]
    for name, (origin, step) in lattices.items():
        column = list(names).index(name)
        points = origin + torch.floor((highest[..., column] - origin) / step + 1e-6) * step
        own[..., column] = torch.from_numpy(_rounded(points.cpu().numpy())).to(x)
    for name, values in atoms.items():
        column = list(names).index(name)
        for value in values:
            there = x.index_fill(-1, torch.tensor([column], device=x.device), value)
            place = preprocess.inverse(there)[0][..., column]
            near = (u[..., column] - place).abs() <= ROUNDING * place.abs().clamp(min=1)
            own[..., column] = torch.where(near, value, own[..., column])
    return own


def _rounded(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Without the last digits, which are those of float64."""
    largest = np.abs(points[np.isfinite(points)]).max(initial=1e-300)
    return np.round(points, int(np.clip(14 - np.ceil(np.log10(largest)), 0, 300)))
