"""Flows of other libraries, trained, scored and sampled like those of this one."""

from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from flowbench.config.limits import AtLeastOne, AtLeastZero
from flowbench.flows.base import Base
from flowbench.flows.flow import Flow
from flowbench.transforms import Chain

__all__ = ["NFlows", "NormFlows", "Zuko", "normflows_spline"]


class Zuko(Flow):
    """A flow of the library zuko, which is called with a context and returns a distribution.

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
        self,
        features: AtLeastOne,
        *,
        context_features: AtLeastZero = 0,
        flow: Callable[..., nn.Module],
    ) -> None:
        built = _built(flow, features=features, context=context_features)
        super().__init__(_tried(_Zuko(built, features), context_features), Chain())


class NFlows(Flow):
    """A flow of the library nflows, or a module with the same interface.

    Its `log_prob(x, context=None)` and `sample(n, context=None)` take rows `[rows, …]`.

    Args:
        features: size of the event.
        context_features: size of the context, 0 for none.
        flow: builds it from `features`, and from `context_features` if there are any (which no
            class in `nflows.flows` takes).

    Raises:
        ValueError: the flow cannot be built, e.g. because it takes no context but there is one.

    Example:
        options = {"hidden_features": 100, "num_layers": 5, "num_blocks_per_layer": 2}
        maf = functools.partial(nflows.flows.MaskedAutoregressiveFlow, **options)
        flow = NFlows(3, flow=maf)
    """

    def __init__(
        self,
        features: AtLeastOne,
        *,
        context_features: AtLeastZero = 0,
        flow: Callable[..., nn.Module],
    ) -> None:
        base = _NFlows(_by_rows(flow, features, context_features), features)
        super().__init__(_tried(base, context_features), Chain())


class NormFlows(Flow):
    """A `NormalizingFlow` or `ConditionalNormalizingFlow` of the library normflows.

    Args:
        features: size of the event.
        context_features: size of the context, 0 for none.
        flow: builds it from `features`, and from `context_features` if there are any.

    Raises:
        ValueError: the flow cannot be built.

    Example:
        flow = NormFlows(3, flow=functools.partial(normflows_spline, layers=5))
    """

    def __init__(
        self,
        features: AtLeastOne,
        *,
        context_features: AtLeastZero = 0,
        flow: Callable[..., nn.Module],
    ) -> None:
        base = _NormFlows(_by_rows(flow, features, context_features), features)
        super().__init__(_tried(base, context_features), Chain())


def normflows_spline(
    features: int,
    *,
    context_features: int = 0,
    layers: int = 5,
    hidden_features: int = 100,
    blocks: int = 2,
    bins: int = 8,
) -> nn.Module:
    """The autoregressive neural spline flow of normflows' own manual.

    Args:
        features: size of the event.
        context_features: size of the context, 0 for none.
        layers: number of autoregressive layers, each with a permutation and an LU linear map.
        hidden_features: width of each network.
        blocks: residual blocks of each network.
        bins: number of bins of each spline.
    """
    import normflows  # pyright: ignore[reportMissingImports]

    maps: list[nn.Module] = []
    for _ in range(layers):
        spline = normflows.flows.AutoregressiveRationalQuadraticSpline(
            features, blocks, hidden_features, context_features or None, num_bins=bins
        )
        maps += [spline, normflows.flows.LULinearPermute(features)]
    base = normflows.distributions.DiagGaussian(features, trainable=False)
    kind = normflows.ConditionalNormalizingFlow if context_features else normflows.NormalizingFlow
    return kind(base, maps)


def _built(flow: Callable[..., nn.Module], **sizes: int) -> nn.Module:
    try:
        return flow(**sizes)
    except Exception as error:  # of another library
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"model.flow cannot be built: {reason}") from error


def _tried(base: "_Peer", context_features: int) -> "_Peer":
    """The base, once it has scored a row of zeros; wrong options may show only then."""
    x = torch.zeros(1, base.features)
    context = torch.zeros(1, context_features) if context_features else None
    base.eval()
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            base.log_prob(x, context)
    except Exception as error:  # of another library
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"model.flow cannot score a row: {reason}") from error
    base.train()
    return base


def _by_rows(flow: Callable[..., nn.Module], features: int, context_features: int) -> nn.Module:
    context = {"context_features": context_features} if context_features else {}
    return _built(flow, features=features, **context)


class _Peer(Base):
    """Common base: samples are not differentiable."""

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


class _ByRows(_Peer):
    """Takes rows `[rows, features]`, and a context only if there is one."""

    def log_prob(self, u: Tensor, context: Tensor | None = None) -> Tensor:
        rows = u.reshape(-1, self.features)
        return self.flow.log_prob(rows, *_rows(context, u.shape[:-1])).reshape(u.shape[:-1])

    def sample(self, shape: torch.Size, context: Tensor | None = None) -> Tensor:
        return self.draw(shape.numel(), *_rows(context, shape)).reshape(*shape, self.features)

    @abstractmethod
    def draw(self, n: int, context: Tensor | None = None) -> Tensor: ...


class _NFlows(_ByRows):
    def draw(self, n: int, context: Tensor | None = None) -> Tensor:
        return self.flow.sample(n) if context is None else self.flow.sample(1, context)


class _NormFlows(_ByRows):
    def draw(self, n: int, context: Tensor | None = None) -> Tensor:
        return self.flow.sample(n, *([] if context is None else [context]))[0]


def _rows(context: Tensor | None, shape: torch.Size) -> list[Tensor]:
    if context is None:
        return []
    return [context.expand(*shape, -1).reshape(-1, context.shape[-1])]
