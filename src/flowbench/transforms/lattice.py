"""Rows of model space in coordinates of the lattices of their data."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Self

import torch
from torch import Tensor

from flowbench.transforms.base import Chain, Transform, widened
from flowbench.transforms.elementwise import Affine
from flowbench.transforms.steps import build_preprocess

__all__ = ["ROUNDING", "LatticeCoordinates"]

ROUNDING = 1e-8  # of coordinates, in cells
STEPS = 2  # of rounding


class LatticeCoordinates(Transform):
    r"""Maps cells of a lattice to model space: level k of a feature is the interval [k, k + 1).

    In its inverse a row goes back to data units x by undoing the preprocessing, and then to
    coordinates (x − origin) / step, of which ⌊·⌋ is the level. All that is computed in float64,
    and a row stands for the highest of the numbers that its dtype rounds to it, so that a value on
    the lower edge of a cell is not found below it.

    Args:
        features: size of an event.
        origin: the lowest point of each lattice in data units, one for all or one per feature.
        step: the distances of its points.
        preprocess: the steps from data units to model space; see `build_preprocess`.

    Example:
        >>> import torch
        >>> scaled = [{"name": "Affine", "scale": 256.0, "features": 2}]
        >>> LatticeCoordinates(2, preprocess=scaled).inverse(torch.tensor([0.0, 0.5]))[0]
        tensor([  0.0000, 128.0000], dtype=torch.float64)
    """

    context_features: int = 0

    def __init__(
        self,
        features: int,
        *,
        origin: float | Sequence[float] = 0.0,
        step: float | Sequence[float] = 1.0,
        preprocess: Iterable[Mapping[str, Any]] = (),
    ) -> None:
        super().__init__()
        self.to_data_units: Affine = Affine(origin, step, features=features)
        self.preprocess: Chain = build_preprocess(preprocess)

    def _apply(self, fn: Callable[[Tensor], Tensor], *given: Any) -> Self:
        """As in any module, but constants keep their dtype: lattice points are exact."""

        def moved(value: Tensor) -> Tensor:
            new = fn(value)
            return new if new.dtype == value.dtype else value.to(new.device)

        return super()._apply(moved, *given)

    def forward(self, u: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:  # noqa: D102
        data, first = self.to_data_units(widened(u))
        row, second = self.preprocess.inverse(data)
        return row.to(u.dtype), (first + second).to(u.dtype)

    def inverse(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:  # noqa: D102
        exact = widened(x)
        highest = exact * (1 + exact.detach().sign() * torch.finfo(x.dtype).eps / 2)
        data, first = self.preprocess(highest)
        place, second = self.to_data_units.inverse(data)
        return place, (first + second).to(x.dtype)

    @torch.no_grad()
    def rounded(self, x: Tensor, row: Tensor) -> Tensor:
        """Rows in model space, moved by a rounding error where that brings them to their cells.

        Near the edge of a fine cell the nearest number may lie in the next one.

        Args:
            x: in data units, float64 `[..., features]`.
            row: the same in model space, rounded; of steps that keep the order of values.

        Example:
            >>> import torch
            >>> cells = LatticeCoordinates(1)
            >>> x = torch.tensor([999_999.99], dtype=torch.float64)
            >>> cells.rounded(x, x.float())
            tensor([999999.9375])
        """
        cell = _cell(self.to_data_units.inverse(x)[0])
        best = row
        for _ in range(STEPS):
            off = _cell(self.inverse(row)[0]) - cell
            best = torch.where(off == 0, row, best)
            row = row.nextafter(-off.to(row.dtype) * torch.inf).where(off != 0, row)
        return torch.where(_cell(self.inverse(row)[0]) == cell, row, best)


def _cell(place: Tensor) -> Tensor:
    return torch.floor(place + ROUNDING)
