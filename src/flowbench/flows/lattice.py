r"""Densities of data on a lattice: a probability for every level, uniform within its cell.

Data on a lattice that have got uniform noise, x = level + U[0, 1), have a density that is constant
in every cell: log p(x) = log P(level). Through the preprocessing of the data it becomes a density
in model space, so that it is compared with flows on the same rows in the same nats. The noise
itself, by which flows lose, costs nothing here.
"""

from abc import abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor

from flowbench.flows.base import Base
from flowbench.flows.cells import Cells, noisy
from flowbench.flows.flow import Flow
from flowbench.flows.lattice_description import Lattice
from flowbench.transforms.lattice import LatticeCoordinates

__all__ = ["LatticeBase", "LatticeFlow"]

WHOLE = 1e-5  # the largest distance of a whole number from its rounding
CHUNK = 8192


class LatticeBase(Base):
    r"""p(y) = P(⌊y⌋) for the coordinates y of cells, where P is given by a subclass.

    Where the lattice is unbounded, P has two more outcomes, below and above the levels; see
    `Cells`.

    Args:
        lattice: of the data.
    """

    has_rsample = False
    anchor: Tensor

    def __init__(self, lattice: Lattice) -> None:
        super().__init__()
        assert isinstance(lattice.levels, Sequence)
        self.features: int = len(lattice.levels)
        self.discrete: bool = lattice.discrete
        self.cells: Cells = Cells(lattice.levels, unbounded=lattice.unbounded)
        here = torch.get_default_device()
        # This buffer gives samples the dtype and device of the flow.
        self.register_buffer("anchor", torch.zeros((), device=here), persistent=False)

    @property
    def counts(self) -> Tensor:
        """The number of outcomes of each feature: its levels, and below and above them."""
        return self.cells.counts

    @abstractmethod
    def log_prob_of_levels(self, k: Tensor, context: Tensor | None) -> Tensor:
        """Log-probabilities of levels, integers `[..., features]`, with the batch's shape."""

    @abstractmethod
    def sample_levels(self, shape: torch.Size, context: Tensor | None) -> Tensor:
        """Draw levels, integers `[*shape, features]`."""

    @abstractmethod
    def initialize(
        self, k: Tensor, context: Tensor | None = None, weight: Tensor | None = None
    ) -> None:
        """Fit what is estimated from the levels of the training rows, `[rows, features]`."""

    @abstractmethod
    def uniforms_of_levels(self, k: Tensor, context: Tensor | None) -> Tensor:
        """Uniform numbers for levels `[..., features]`, at random within their probabilities."""

    def uniforms(self, u: Tensor, context: Tensor | None = None) -> Tensor:  # noqa: D102
        return self.uniforms_of_levels(self.cells.outcomes(u)[0], context)

    def log_prob(self, u: Tensor, context: Tensor | None = None) -> Tensor:  # noqa: D102
        k, outside = self.cells.outcomes(u)
        log_prob = self.log_prob_of_levels(k, context) + (0 * u).sum(-1)  # constant; NaN stays NaN
        within = self.cells.log_shares(k, outside)
        exists = within > -torch.inf
        if self.discrete:
            exists = exists & ((u - u.round()).abs() < WHOLE)
        log_prob = log_prob + within.masked_fill(~exists, 0.0).sum(-1)
        return log_prob.to(self.anchor).masked_fill(~exists.all(-1), -torch.inf)

    def sample(self, shape: torch.Size, context: Tensor | None = None) -> Tensor:  # noqa: D102
        place = self.cells.drawn(self.sample_levels(shape, context), self.anchor)
        return place if self.discrete else noisy(place)


class LatticeFlow(Flow):
    """A flow whose noise is the coordinates of lattice cells.

    Args:
        base: the probabilities of the levels.
        lattice: of the data.
    """

    base: LatticeBase
    transform: LatticeCoordinates
    by_column = True

    def __init__(self, base: LatticeBase, lattice: Lattice) -> None:
        super().__init__(base, lattice.coordinates())

    @torch.no_grad()
    def initialize(
        self, x: Tensor, context: Tensor | None = None, weight: Tensor | None = None
    ) -> None:
        """Fit what is estimated from the levels of the training rows; called before training."""
        chunks = (self.transform.inverse(part)[0] for part in x.split(CHUNK))
        k = torch.cat([self.base.cells.outcomes(chunk)[0].int() for chunk in chunks])
        self.base.initialize(k, self._embed_rows(context), weight)
