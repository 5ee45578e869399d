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
from flowbench.flows.flow import Flow
from flowbench.flows.levels import Levels
from flowbench.nn import AutoregressiveNetwork, ConvolutionalNetwork
from flowbench.tracing import may_overwrite
from flowbench.transforms.lattice import LatticeCoordinates

__all__ = ["AutoregressiveLevels", "LatticeBase", "LatticeFlow"]

ROUNDING = 1e-8  # of coordinates, in cells
MARGIN = 2.0**-16  # kept free below the upper edge of a cell, so that rounding does not cross it
CHUNK = 8192
PARAMETERS = 2**24  # computed at once, where no gradients are needed


class LatticeBase(Base):
    r"""p(y) = P(⌊y⌋) for coordinates y of cells; 0 outside of the levels 0 … K − 1.

    A subclass gives the probabilities of the levels and draws from them.

    Args:
        levels: the number of levels K of each feature.
    """

    has_rsample = False
    counts: Tensor

    def __init__(self, levels: Sequence[int]) -> None:
        super().__init__()
        self.features = len(levels)
        counts = torch.tensor(levels, device=torch.get_default_device())
        self.register_buffer("counts", counts, persistent=False)
        # This buffer gives samples the dtype and device of the flow.
        self.anchor: Tensor
        self.register_buffer("anchor", torch.zeros(()), persistent=False)

    @abstractmethod
    def log_prob_of_levels(self, k: Tensor, context: Tensor | None) -> Tensor:
        """Log-probabilities of levels, integers `[..., features]`, with the batch's shape."""

    @abstractmethod
    def sample_levels(self, shape: torch.Size, context: Tensor | None) -> Tensor:
        """Draw levels, integers `[*shape, features]`."""

    def initialize(self, k: Tensor, context: Tensor | None = None) -> None:
        """Fit what is estimated from the levels of the training rows, `[rows, features]`."""
        del k, context

    def levels_of(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """The levels of coordinates, and whether all those of an event exist."""
        k = torch.floor(u.detach() + ROUNDING)
        exists = ((k >= 0) & (k < self.counts)).all(-1)
        highest = (self.counts - 1).to(k.dtype)
        return k.nan_to_num(0.0).clamp(torch.zeros_like(highest), highest).long(), exists

    def log_prob(self, u: Tensor, context: Tensor | None = None) -> Tensor:  # noqa: D102
        k, exists = self.levels_of(u)
        return self.log_prob_of_levels(k, context).masked_fill(~exists, -torch.inf)

    def sample(self, shape: torch.Size, context: Tensor | None = None) -> Tensor:  # noqa: D102
        k = self.sample_levels(shape, context).to(self.anchor)
        return k + torch.rand_like(k) * (1 - MARGIN - k / 2**20)


class AutoregressiveLevels(LatticeBase):
    r"""P(k) = Πᵢ P(kᵢ | k before i, context), with conditionals from one family.

    The network sees the levels scaled to [−1, 1].

    Args:
        network: maps features and a context to `[..., features, family.params]`.
        family: of the conditionals.
        levels: the number of levels of each feature.
    """

    def __init__(
        self,
        network: AutoregressiveNetwork | ConvolutionalNetwork,
        family: Levels,
        levels: Sequence[int],
    ) -> None:
        super().__init__(levels)
        self.network = network
        self.family = family
        self.context_features = network.context_features
        scales = 2 / (self.counts - 1).clamp(min=1).to(torch.get_default_dtype())
        self.scales: Tensor
        self.register_buffer("scales", scales, persistent=False)

    def log_prob_of_levels(self, k: Tensor, context: Tensor | None) -> Tensor:  # noqa: D102
        most = max(1, PARAMETERS // (self.features * self.family.params))
        if k.ndim != 2 or len(k) <= most or torch.is_grad_enabled() or not may_overwrite():
            return self._log_prob(k, context)
        given = [context] * len(k) if context is None else context.expand(len(k), -1).split(most)
        return torch.cat([*map(self._log_prob, k.split(most), given)])

    def _log_prob(self, k: Tensor, context: Tensor | None) -> Tensor:
        return self.family.log_prob(k, self.network(k * self.scales - 1, context)).sum(-1)

    @torch.no_grad()
    def sample_levels(self, shape: torch.Size, context: Tensor | None) -> Tensor:  # noqa: D102
        if self.network.check_context(context) is not None:
            assert context is not None
            context = context.expand(*shape, -1).reshape(-1, self.network.context_features)

        def next_value(params: Tensor, feature: int) -> Tensor:
            level = self.family.sample(params.squeeze(1), feature)
            return (level * self.scales[feature] - 1).unsqueeze(-1)

        values = self.network.generate(next_value, rows=shape.numel(), context=context)
        return ((values + 1) / self.scales).round().long().reshape(*shape, self.features)

    def initialize(self, k: Tensor, context: Tensor | None = None) -> None:
        """Start the family at the shares of the levels."""
        self.family.initialize(k)


class LatticeFlow(Flow):
    """A flow whose noise is the coordinates of lattice cells.

    Args:
        base: the probabilities of the levels.
        transform: from cells to model space.
    """

    base: LatticeBase
    transform: LatticeCoordinates

    @torch.no_grad()
    def initialize(self, x: Tensor, context: Tensor | None = None) -> None:
        """Fit what is estimated from the levels of the training rows; called before training."""
        chunks = (self.transform.inverse(part)[0] for part in x.split(CHUNK))
        k = torch.cat([self.base.levels_of(chunk)[0].int() for chunk in chunks])
        self.base.initialize(k, self._embed_rows(context))
