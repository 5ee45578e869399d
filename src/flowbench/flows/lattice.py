r"""Densities of data on a lattice: a probability for every level, uniform within its cell.

Data on a lattice that have got uniform noise, x = level + U[0, 1), have a density that is constant
in every cell: log p(x) = log P(level). Through the preprocessing of the data it becomes a density
in model space, so that it is compared with flows on the same rows in the same nats. The noise
itself, by which flows lose, costs nothing here.
"""

from abc import abstractmethod

import torch
from torch import Tensor

from flowbench.flows.base import Base
from flowbench.flows.flow import Flow
from flowbench.flows.lattice_description import Lattice
from flowbench.transforms.lattice import LatticeCoordinates

__all__ = ["LatticeBase", "LatticeFlow"]

ROUNDING = 1e-8  # of coordinates, in cells
MARGIN = 2.0**-16  # kept free below the upper edge of a cell, so that rounding does not cross it
WHOLE = 1e-5  # the largest distance of a whole number from its rounding
CHUNK = 8192
SHORTEST_TAIL = 2.0  # in cells


class LatticeBase(Base):
    r"""p(y) = P(⌊y⌋) for the coordinates y of cells, where P is given by a subclass.

    Where the lattice is unbounded, P has two more outcomes, below and above the levels. Beyond
    them the probability falls geometrically, with a mean distance of a tenth of the levels.

    Args:
        lattice: of the data.
    """

    has_rsample = False
    counts: Tensor
    decay: Tensor
    anchor: Tensor

    def __init__(self, lattice: Lattice) -> None:
        super().__init__()
        self.features = len(lattice.counts)
        self.discrete = lattice.discrete
        self.unbounded = int(lattice.unbounded)
        here = torch.get_default_device()
        counts = torch.tensor(lattice.counts, device=here)
        self.register_buffer("counts", counts, persistent=False)
        tail = (counts.to(torch.get_default_dtype()) / 10).clamp(min=SHORTEST_TAIL)
        self.register_buffer("decay", 1 - 1 / tail, persistent=False)
        # This buffer gives samples the dtype and device of the flow.
        self.register_buffer("anchor", torch.zeros((), device=here), persistent=False)

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

    def levels(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """The levels of coordinates, and how many cells each coordinate is outside of them."""
        place = torch.floor(u.detach() + ROUNDING) + self.unbounded
        place = place.masked_fill(place.isnan(), 0.0)
        highest = (self.counts - 1).to(place.dtype)
        k = place.clamp(torch.zeros_like(highest), highest)
        return k.long(), (place - k).abs()

    def log_prob(self, u: Tensor, context: Tensor | None = None) -> Tensor:  # noqa: D102
        k, outside = self.levels(u)
        log_prob = self.log_prob_of_levels(k, context) + (0 * u).sum(-1)  # constant; NaN stays NaN
        exists = outside == 0
        if self.unbounded:
            exists = outside.isfinite()
            ends = (k == 0) | (k == self.counts - 1)
            tail = outside * self.decay.log() + (1 - self.decay).log()
            log_prob = log_prob + torch.where(ends, tail, 0.0).sum(-1)
        if self.discrete:
            exists = exists & ((u - u.round()).abs() < WHOLE)
        return log_prob.to(self.anchor).masked_fill(~exists.all(-1), -torch.inf)

    def sample(self, shape: torch.Size, context: Tensor | None = None) -> Tensor:  # noqa: D102
        k = self.sample_levels(shape, context)
        place = (k - self.unbounded).to(self.anchor)
        if self.unbounded:
            distance = (1 - torch.rand_like(place)).log().div(self.decay.log()).floor()
            place = torch.where(k == 0, place - distance, place)
            place = torch.where(k == self.counts - 1, place + distance, place)
        if self.discrete:
            return place
        return place + torch.rand_like(place) * (1 - MARGIN - place.abs() / 2**20)


class LatticeFlow(Flow):
    """A flow whose noise is the coordinates of lattice cells.

    Args:
        base: the probabilities of the levels.
        lattice: of the data.
    """

    base: LatticeBase
    transform: LatticeCoordinates

    def __init__(self, base: LatticeBase, lattice: Lattice) -> None:
        super().__init__(base, lattice.coordinates())

    @torch.no_grad()
    def initialize(
        self, x: Tensor, context: Tensor | None = None, weight: Tensor | None = None
    ) -> None:
        """Fit what is estimated from the levels of the training rows; called before training."""
        chunks = (self.transform.inverse(part)[0] for part in x.split(CHUNK))
        k = torch.cat([self.base.levels(chunk)[0].int() for chunk in chunks])
        self.base.initialize(k, self._embed_rows(context), weight)
