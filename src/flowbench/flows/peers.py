"""Flows of other libraries, trained, scored and sampled like those of this one."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from flowbench.flows.base import Base
from flowbench.flows.flow import Flow
from flowbench.transforms import Chain

__all__ = ["NFlows", "Zuko"]


class Zuko(Flow):
    """A flow of the library zuko, which is called with a context and gives a distribution.

    Args:
        features: size of the event.
        context_features: size of the context, 0 for none.
        flow: builds it from `features` and `context`: a class of `zuko.flows`, with its options.

    Raises:
        ValueError: the flow cannot be built.

    Example:
        flow = Zuko(3, flow=functools.partial(zuko.flows.NSF, transforms=5))
        flow.log_prob(torch.zeros(7, 3)), flow.sample((5,))
    """

    def __init__(
        self, features: int, *, context_features: int = 0, flow: Callable[..., nn.Module]
    ) -> None:
        try:
            built = flow(features=features, context=context_features)
        except TypeError as error:
            raise ValueError(f"model.flow cannot be built: {error}") from error
        super().__init__(_Zuko(built, features), Chain())


class NFlows(Flow):
    """A flow of the library nflows, or a module of its interface.

    Its `log_prob(x, context=None)` and `sample(n, context=None)` take rows `[rows, …]`.

    Args:
        features: size of the event.
        context_features: size of the context, 0 for none.
        flow: builds it from `features`, and from `context_features` where there are any; of the
            classes in `nflows.flows` none takes these.

    Raises:
        ValueError: the flow cannot be built: there is a context, say, but it takes none.

    Example:
        options = {"hidden_features": 100, "num_layers": 5, "num_blocks_per_layer": 2}
        maf = functools.partial(nflows.flows.MaskedAutoregressiveFlow, **options)
        flow = NFlows(3, flow=maf)
    """

    def __init__(
        self, features: int, *, context_features: int = 0, flow: Callable[..., nn.Module]
    ) -> None:
        context = {"context_features": context_features} if context_features else {}
        try:
            built = flow(features=features, **context)
        except TypeError as error:
            raise ValueError(f"model.flow cannot be built: {error}") from error
        super().__init__(_NFlows(built, features), Chain())


class _Peer(Base):
    """What holds for both: samples carry no gradients."""

    has_rsample = False

    def __init__(self, flow: Any, features: int) -> None:
        super().__init__()
        self.flow = flow
        self.features = features


class _Zuko(_Peer):
    def log_prob(self, u: Tensor, context: Tensor | None = None) -> Tensor:
        return self.flow(context).log_prob(u)

    def sample(self, shape: torch.Size, context: Tensor | None = None) -> Tensor:
        if context is None:
            return self.flow().sample(shape)
        return self.flow(context.expand(*shape, -1)).sample()


class _NFlows(_Peer):
    def log_prob(self, u: Tensor, context: Tensor | None = None) -> Tensor:
        rows = u.reshape(-1, self.features)
        return self.flow.log_prob(rows, _rows(context, u.shape[:-1])).reshape(u.shape[:-1])

    def sample(self, shape: torch.Size, context: Tensor | None = None) -> Tensor:
        if context is None:
            return self.flow.sample(shape.numel()).reshape(*shape, self.features)
        return self.flow.sample(1, _rows(context, shape)).reshape(*shape, self.features)


def _rows(context: Tensor | None, shape: torch.Size) -> Tensor | None:
    if context is None:
        return None
    return context.expand(*shape, -1).reshape(-1, context.shape[-1])
