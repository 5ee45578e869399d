"""Independent flows over consecutive blocks of features."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from flowbench.flows.base import Base
from flowbench.flows.flow import Flow
from flowbench.transforms import Chain

__all__ = ["Blockwise"]


class Blockwise(Flow):
    r"""p(x) = Πₖ pₖ(x in block k), with weights of their own for every block.

    All flows get the same context. (Weights shared by all blocks are one flow on
    `[..., blocks, features]`, whose log-densities are summed over the blocks.)

    Args:
        flows: one per block, in the order of the blocks; their sizes are the blocks'.

    Raises:
        ValueError: there is no flow.

    Example:
        >>> import torch
        >>> from flowbench.flows import MADE
        >>> flow = Blockwise([MADE(2), MADE(3)])
        >>> flow.log_prob(torch.zeros(7, 5)).shape, flow.sample((4,)).shape
        (torch.Size([7]), torch.Size([4, 5]))
    """

    base: "_Blocks"

    def __init__(self, flows: Sequence[Flow]) -> None:
        if not flows:
            raise ValueError("flows=[]: expected a flow for each block")
        super().__init__(_Blocks(flows), Chain())

    @torch.no_grad()
    def initialize(self, x: Tensor, context: Tensor | None = None) -> None:
        """Initialise every flow with its block of the training rows."""
        for flow, block in self.base.pairs(x):
            flow.initialize(block, context)

    @torch.no_grad()
    def recompute_statistics(self, x: Tensor, context: Tensor | None = None) -> None:
        """Set the statistics of every flow by its block of the training rows."""
        for flow, block in self.base.pairs(x):
            flow.recompute_statistics(block, context)


class _Blocks(Base):
    """The flows of all blocks, as one density."""

    def __init__(self, flows: Sequence[Flow]) -> None:
        super().__init__()
        self.flows = nn.ModuleList(flows)
        self.sizes = [flow.features for flow in flows]
        self.features = sum(self.sizes)
        self.has_rsample = all(flow.has_rsample for flow in flows)

    def pairs(self, x: Tensor) -> list[tuple[Any, Tensor]]:
        """Every flow with its block of `[..., features]`."""
        return list(zip(self.flows, x.split(self.sizes, dim=-1), strict=True))

    def log_prob(self, u: Tensor, context: Tensor | None = None) -> Tensor:
        return torch.stack([flow(block, context) for flow, block in self.pairs(u)]).sum(0)

    def sample(self, shape: torch.Size, context: Tensor | None = None) -> Tensor:
        if context is not None:  # then it carries the whole shape
            context, shape = context.expand(*shape, -1), torch.Size()
        flows: Any = self.flows
        return torch.cat([flow.sample_and_log_prob(shape, context)[0] for flow in flows], dim=-1)
