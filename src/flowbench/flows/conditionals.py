"""Conditional densities of columns in their coordinates: of cells, and of real numbers."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from flowbench.flows.cells import Cells, noisy
from flowbench.flows.families import Family
from flowbench.flows.levels import Levels
from flowbench.transforms import AffineMap

__all__ = ["CellConditionals", "Conditionals", "RealConditionals"]


class Conditionals(nn.Module, ABC):
    """Densities of the coordinates of some columns, with `params` parameters for each."""

    params: int

    @abstractmethod
    def inputs(self, u: Tensor, column: int | slice = slice(None)) -> Tensor:
        """What a network is told of coordinates `[..., columns]`, or of one column's."""

    @abstractmethod
    def log_prob(self, u: Tensor, params: Tensor) -> Tensor:
        """Log-densities `[..., columns]`, given parameters `[..., columns, self.params]`."""

    @abstractmethod
    def uniform(self, u: Tensor, params: Tensor) -> Tensor:
        """Numbers uniform on [0, 1] if coordinates are drawn; the shapes are as in `log_prob`."""

    @abstractmethod
    def sample(self, params: Tensor, column: int) -> Tensor:
        """Coordinates of one column, `[rows]`, from its parameters `[rows, self.params]`."""

    @abstractmethod
    def initialize(self, u: Tensor) -> None:
        """Start at what each column of training rows suggests; NaN is left out."""


class CellConditionals(Conditionals):
    """Densities that are constant in the cells of lattices.

    A network is told the outcome, centred and scaled as in the training rows.

    Args:
        cells: of these columns.
        levels: the probabilities of their outcomes.
    """

    centre: Tensor
    spread: Tensor

    def __init__(self, cells: Cells, levels: Levels) -> None:
        super().__init__()
        self.cells = cells
        self.levels = levels
        self.params: int = levels.params
        counts = cells.counts.to(torch.get_default_dtype())
        self.register_buffer("centre", (counts - 1) / 2)
        self.register_buffer("spread", counts / 4)

    def inputs(self, u: Tensor, column: int | slice = slice(None)) -> Tensor:  # noqa: D102
        k = self.cells.outcomes(u, column)[0]
        return (k - self.centre[column]) / self.spread[column]

    def log_prob(self, u: Tensor, params: Tensor) -> Tensor:  # noqa: D102
        k, outside = self.cells.outcomes(u)
        # constant; NaN stays NaN
        return self.levels.log_prob(k, params) + self.cells.log_shares(k, outside) + 0 * u

    def uniform(self, u: Tensor, params: Tensor) -> Tensor:  # noqa: D102
        return self.levels.uniform(self.cells.outcomes(u)[0], params)

    def sample(self, params: Tensor, column: int) -> Tensor:  # noqa: D102
        k = self.levels.sample(params, column)
        return noisy(self.cells.drawn(k, self.centre, column))

    @torch.no_grad()
    def initialize(self, u: Tensor) -> None:  # noqa: D102
        if self.levels.is_started:
            return
        k = self.cells.outcomes(u)[0]
        self.centre.copy_(k.double().mean(0))
        self.spread.copy_(k.double().std(0, unbiased=False).clamp(min=0.1))
        self.levels.initialize(k)


class RealConditionals(Conditionals):
    r"""Densities of real numbers: of xᵢ = uᵢ exp(s) + t, with u from a family.

    Given t and s, a network moves and narrows a mixture as a whole.

    Args:
        family: of u.
        columns: number of columns.
    """

    def __init__(self, family: Family, columns: int) -> None:
        super().__init__()
        self.family = family
        self.map: AffineMap = AffineMap()
        self.params: int = family.params + self.map.params
        self.start: nn.Parameter = nn.Parameter(torch.zeros(columns, family.params))

    def inputs(self, u: Tensor, column: int | slice = slice(None)) -> Tensor:  # noqa: D102
        del column
        return u

    def log_prob(self, u: Tensor, params: Tensor) -> Tensor:  # noqa: D102
        own, affine = params[..., : self.family.params], params[..., self.family.params :]
        inner, log_derivative = self.map.inverse(u.to(params.dtype), affine)
        return self.family.log_prob(inner, own + self.start) + log_derivative

    def uniform(self, u: Tensor, params: Tensor) -> Tensor:  # noqa: D102
        own, affine = params[..., : self.family.params], params[..., self.family.params :]
        inner, _ = self.map.inverse(u.to(params.dtype), affine)
        return self.family.uniform(inner, own + self.start)

    def sample(self, params: Tensor, column: int) -> Tensor:  # noqa: D102
        own, affine = params[..., : self.family.params], params[..., self.family.params :]
        return self.map(self.family.sample(own + self.start[column]), affine)[0]

    @torch.no_grad()
    def initialize(self, u: Tensor) -> None:  # noqa: D102
        if self.start.any():  # initialised or trained before
            return
        for column, values in enumerate(u.mT):
            self.start[column] = self.family.start(values[~values.isnan()])
