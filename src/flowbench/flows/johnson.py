"""Flows of rows whose skewed and heavy-tailed features are first brought to a normal scale."""

from collections.abc import Callable

import torch
from torch import Tensor

from flowbench.config.limits import AtLeastOne, AtLeastZero
from flowbench.flows.base import Base
from flowbench.flows.flow import Flow
from flowbench.transforms.johnson import JohnsonSU
from flowbench.transforms.weighted_rows import on_rows

__all__ = ["Johnson", "johnson_of"]


class Johnson(Flow):
    """A flow of u = JohnsonSU(x), as a density of x.

    Args:
        flow: the density of u.

    Example:
        >>> import torch
        >>> from flowbench.flows import Gaussian
        >>> flow = Johnson(Gaussian(2))
        >>> flow.initialize(torch.randn(1000, 2).exp())
        >>> flow.log_prob(torch.ones(7, 2)).shape, flow.sample((4,)).shape
        (torch.Size([7]), torch.Size([4, 2]))
    """

    base: "_Inner"
    transform: JohnsonSU

    def __init__(self, flow: Flow) -> None:
        super().__init__(_Inner(flow), JohnsonSU(flow.features))
        self.by_column = flow.by_column

    @torch.no_grad()
    def initialize(
        self, x: Tensor, context: Tensor | None = None, weight: Tensor | None = None
    ) -> None:
        """Fit the features one by one, but for angles, then the flow to what they become."""
        self.transform.initialize(x, weight=weight)
        self.transform.curved[list(self.circular)] = False
        u, context = self.transform.inverse(x)[0], self._embed_rows(context)
        on_rows(self.base.flow.initialize, u, context, weight)

    @torch.no_grad()
    def recompute_statistics(
        self, x: Tensor, context: Tensor | None = None, weight: Tensor | None = None
    ) -> None:
        """Recompute the statistics of the flow from the training rows."""
        u, context = self.transform.inverse(x)[0], self._embed_rows(context)
        on_rows(self.base.flow.recompute_statistics, u, context, weight)


class _Inner(Base):
    """A flow as the base of another."""

    has_rsample = False

    def __init__(self, flow: Flow) -> None:
        super().__init__()
        self.flow = flow
        self.features = flow.features
        self.context_features = flow.context_features
        self.circular = flow.circular

    def log_prob(self, u: Tensor, context: Tensor | None = None) -> Tensor:
        return self.flow(u, context)

    def uniforms(self, u: Tensor, context: Tensor | None = None) -> Tensor:
        return self.flow.uniforms(u, context)

    def sample(self, shape: torch.Size, context: Tensor | None = None) -> Tensor:
        if context is None:
            return self.flow.sample_and_log_prob(shape)[0].detach()
        return self.flow.sample_and_log_prob((), context.expand(*shape, -1))[0].detach()


def johnson_of(
    features: AtLeastOne, *, context_features: AtLeastZero = 0, flow: Callable[..., Flow]
) -> Johnson:
    """A flow of features that are first brought to a normal scale.

    Args:
        features: size of the event.
        context_features: size of the context, 0 for none.
        flow: builds the flow from `features`, and `context_features` if there are any.

    Example:
        >>> from flowbench.flows import Gaussian
        >>> johnson_of(3, flow=Gaussian).features
        3
    """
    sizes = {"context_features": context_features} if context_features else {}
    return Johnson(flow(features, **sizes))
