"""Independent flows over consecutive blocks of features, with separate or shared weights."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor, nn

from flowbench.config.limits import AtLeastOne, AtLeastZero
from flowbench.flows.base import Base
from flowbench.flows.flow import Flow
from flowbench.transforms import Chain, Folded
from flowbench.transforms.base import common_size
from flowbench.transforms.weighted_rows import on_rows, repeated

__all__ = ["Blockwise", "SharedBlocks", "equal_blocks"]


class Blockwise(Flow):
    r"""p(x) = Πₖ pₖ(x in block k), with separate weights for each block.

    All flows get the same context. For weights shared by all blocks, see `SharedBlocks`.

    Args:
        flows: one per block, in order; their sizes are the block sizes.

    Raises:
        ValueError: `flows` is empty.

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
    def initialize(
        self, x: Tensor, context: Tensor | None = None, weight: Tensor | None = None
    ) -> None:
        """Initialise every flow with its block of the training rows."""
        context = self._embed_rows(context)
        for flow, block in self.base.pairs(x):
            on_rows(flow.initialize, block, context, weight)

    @torch.no_grad()
    def recompute_statistics(
        self, x: Tensor, context: Tensor | None = None, weight: Tensor | None = None
    ) -> None:
        """Recompute the statistics of every flow from its block of the training rows."""
        context = self._embed_rows(context)
        for flow, block in self.base.pairs(x):
            on_rows(flow.recompute_statistics, block, context, weight)


class SharedBlocks(Flow):
    r"""p(x) = Πₖ p(x in block k), with the same flow for every block.

    The event `[..., blocks · features]` is viewed as `[..., blocks, features]`, e.g. the channels
    of an image. All blocks get the same context.

    Args:
        flow: the density of one block.
        blocks: number of blocks.

    Raises:
        ValueError: the number of blocks is not positive.

    Example:
        >>> import torch
        >>> from flowbench.flows import MADE
        >>> flow = SharedBlocks(MADE(2), blocks=3)
        >>> flow.log_prob(torch.zeros(7, 6)).shape, flow.sample((4,)).shape
        (torch.Size([7]), torch.Size([4, 6]))
    """

    transform: Folded

    def __init__(self, flow: Flow, *, blocks: AtLeastOne) -> None:
        transform = Folded(flow.transform, groups=blocks)
        super().__init__(_Repeated(flow.base, blocks), transform, flow.embedding)
        self._block = [flow]  # in a list, so that its parts are not registered twice

    @torch.no_grad()
    def initialize(
        self, x: Tensor, context: Tensor | None = None, weight: Tensor | None = None
    ) -> None:
        """Initialise the flow with all blocks of the training rows."""
        rows, given = self.transform.fold(x, self._embed_rows(context))
        [flow] = self._block
        with _without_embedding(flow):
            on_rows(flow.initialize, rows, given, repeated(weight, len(rows)))

    @torch.no_grad()
    def recompute_statistics(
        self, x: Tensor, context: Tensor | None = None, weight: Tensor | None = None
    ) -> None:
        """Recompute the statistics of the flow from all blocks of the training rows."""
        [flow] = self._block
        flow.training = self.training  # not registered, so train() and eval() skip it
        rows, given = self.transform.fold(x, self._embed_rows(context))
        with _without_embedding(flow):
            on_rows(flow.recompute_statistics, rows, given, repeated(weight, len(rows)))


@contextmanager
def _without_embedding(flow: Flow) -> Iterator[None]:
    """The flow as one of contexts that are embedded already."""
    embedding, flow.embedding = flow.embedding, None
    try:
        yield
    finally:
        flow.embedding = embedding


def equal_blocks(
    features: AtLeastOne,
    *,
    context_features: AtLeastZero = 0,
    blocks: AtLeastOne,
    shared: bool = False,
    flow: Callable[..., Flow],
) -> Flow:
    """A flow for each of the equal blocks of an event, or one for all of them.

    Args:
        features: size of the event.
        context_features: size of the context, 0 for none.
        blocks: number of blocks.
        shared: one set of weights for all blocks, instead of separate weights for each.
        flow: builds the flow of a block from `features`, and `context_features` if there are any.

    Raises:
        ValueError: the event does not divide into that many equal blocks.

    Example:
        >>> from functools import partial
        >>> from flowbench.flows import MADE
        >>> equal_blocks(6, blocks=3, flow=partial(MADE, hidden_units=[8])).base.sizes
        [2, 2, 2]
    """
    if blocks < 1 or features % blocks:
        raise ValueError(f"blocks={blocks}: {features} features have no {blocks} equal blocks")
    context = {"context_features": context_features} if context_features else {}
    if shared:
        return SharedBlocks(flow(features=features // blocks, **context), blocks=blocks)
    return Blockwise([flow(features=features // blocks, **context) for _ in range(blocks)])


class _Repeated(Base):
    """Independent draws of one base, side by side."""

    def __init__(self, base: Base, blocks: int) -> None:
        super().__init__()
        self.base = base
        self.blocks = blocks
        self.features = blocks * base.features
        self.context_features = base.context_features
        self.has_rsample = base.has_rsample
        self.discrete = base.discrete
        self.circular = [
            block * base.features + feature for block in range(blocks) for feature in base.circular
        ]

    def log_prob(self, u: Tensor, context: Tensor | None = None) -> Tensor:
        context = None if context is None else context.unsqueeze(-2)
        return self.base.log_prob(u.unflatten(-1, (self.blocks, -1)), context).sum(-1)

    def uniforms(self, u: Tensor, context: Tensor | None = None) -> Tensor:
        context = None if context is None else context.unsqueeze(-2)
        return self.base.uniforms(u.unflatten(-1, (self.blocks, -1)), context).flatten(-2)

    def sample(self, shape: torch.Size, context: Tensor | None = None) -> Tensor:
        context = None if context is None else context.unsqueeze(-2)
        return self.base.sample(torch.Size((*shape, self.blocks)), context).flatten(-2)


class _Blocks(Base):
    """The flows of all blocks, as one density."""

    def __init__(self, flows: Sequence[Flow]) -> None:
        super().__init__()
        self.flows = nn.ModuleList(flows)
        self.sizes = [flow.features for flow in flows]
        self.features = sum(self.sizes)
        self.context_features = common_size(flows)
        self.has_rsample = all(flow.has_rsample for flow in flows)
        self.discrete = all(flow.discrete for flow in flows)
        starts = [0, *accumulate(self.sizes)]
        self.circular = [
            start + feature
            for start, flow in zip(starts, flows, strict=False)
            for feature in flow.circular
        ]

    def pairs(self, x: Tensor) -> list[tuple[Any, Tensor]]:
        """Every flow with its block of `[..., features]`."""
        return list(zip(self.flows, x.split(self.sizes, dim=-1), strict=True))

    def log_prob(self, u: Tensor, context: Tensor | None = None) -> Tensor:
        return torch.stack([flow(block, context) for flow, block in self.pairs(u)]).sum(0)

    def uniforms(self, u: Tensor, context: Tensor | None = None) -> Tensor:
        return torch.cat([flow.uniforms(block, context) for flow, block in self.pairs(u)], -1)

    def sample(self, shape: torch.Size, context: Tensor | None = None) -> Tensor:
        if context is not None:  # then it carries the whole shape
            context, shape = context.expand(*shape, -1), torch.Size()
        flows: Any = self.flows
        return torch.cat([flow.sample_and_log_prob(shape, context)[0] for flow in flows], dim=-1)
