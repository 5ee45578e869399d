"""Mixtures of flows."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from flowbench.config.limits import AtLeastOne, AtLeastZero, Positive, Seed
from flowbench.flows.base import Base
from flowbench.flows.flow import Flow
from flowbench.transforms import Chain
from flowbench.transforms.base import common_size
from flowbench.transforms.weighted_rows import on_rows

__all__ = ["Mixture", "ensemble", "mixture_of"]


class Mixture(Flow):
    r"""p(x) = Σₖ wₖ pₖ(x) of K flows.

    In training mode it returns Σₖ wₖ log pₖ(x), which is a lower bound: each flow learns all rows,
    as if it were trained alone.

    Args:
        flows: of equal sizes; all get the same context.
        weights: wₖ, which are not trained, up to a common factor; None: equal.

    Raises:
        ValueError: `flows` is empty, they differ in size or in which features are angles, or there
            is not one positive weight for each.

    Example:
        >>> import torch
        >>> from flowbench.flows import MADE
        >>> flow = Mixture([MADE(2), MADE(2)])
        >>> flow.log_prob(torch.zeros(7, 2)).shape, flow.sample((4,)).shape
        (torch.Size([7]), torch.Size([4, 2]))
    """

    base: "_Mixed"

    def __init__(
        self, flows: Sequence[Flow], *, weights: Sequence[Positive] | None = None
    ) -> None:
        if len({flow.features for flow in flows}) != 1:
            raise ValueError(f"{len(flows)} flows: expected at least one, all of equal size")
        if len({tuple(flow.circular) for flow in flows}) != 1:
            raise ValueError("the flows take different features for angles: expected the same")
        shares = [1.0] * len(flows) if weights is None else [float(one) for one in weights]
        if len(shares) != len(flows):
            raise ValueError(f"{len(shares)} weights of {len(flows)} flows: expected one for each")
        super().__init__(_Mixed(flows, shares), Chain())

    @torch.no_grad()
    def initialize(
        self, x: Tensor, context: Tensor | None = None, weight: Tensor | None = None
    ) -> None:
        """Initialise every flow with the training rows."""
        context = self._embed_rows(context)
        for flow in self.base.members:
            on_rows(flow.initialize, x, context, weight)

    @torch.no_grad()
    def recompute_statistics(
        self, x: Tensor, context: Tensor | None = None, weight: Tensor | None = None
    ) -> None:
        """Recompute the statistics of every flow from the training rows."""
        context = self._embed_rows(context)
        for flow in self.base.members:
            on_rows(flow.recompute_statistics, x, context, weight)


class _Mixed(Base):
    """Densities with weights."""

    log_weights: Tensor

    def __init__(self, flows: Sequence[Flow], weights: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("log_weights", torch.tensor(weights).log().log_softmax(0))
        self.flows = nn.ModuleList(flows)
        self.features = flows[0].features
        self.context_features = common_size(flows)
        self.has_rsample = False
        self.circular = flows[0].circular
        self.discrete = all(flow.discrete for flow in flows)

    @property
    def members(self) -> list[Any]:
        """The flows."""
        return list(self.flows)

    def log_prob(self, u: Tensor, context: Tensor | None = None) -> Tensor:
        terms = torch.stack([flow(u, context) for flow in self.flows], -1)
        if self.training:
            return terms @ self.log_weights.exp()
        return (terms + self.log_weights).logsumexp(-1)

    def uniforms(self, u: Tensor, context: Tensor | None = None) -> Tensor:
        """Those of one flow for each row, drawn with the probability that the row is of it."""
        terms = torch.stack([flow(u, context) for flow in self.flows], -1) + self.log_weights
        gumbel = -torch.log(-torch.log(torch.rand_like(terms)))
        chosen = (terms + gumbel).argmax(-1, keepdim=True).unsqueeze(-1)
        each = torch.stack([flow.uniforms(u, context) for flow in self.members], -1)
        return each.gather(-1, chosen.expand(*each.shape[:-1], 1)).squeeze(-1)

    def sample(self, shape: torch.Size, context: Tensor | None = None) -> Tensor:
        if context is not None:  # then it carries the whole shape
            context, size = context.expand(*shape, -1), torch.Size()
        else:
            size = shape
        drawn = [flow.sample_and_log_prob(size, context)[0] for flow in self.members]
        x = drawn[0]
        ends = self.log_weights.exp().cumsum(0)[:-1]
        chosen = torch.bucketize(torch.rand_like(x[..., :1]), ends, right=True)
        for member, other in enumerate(drawn[1:], start=1):
            x = torch.where(chosen == member, other, x)
        return x.detach()


def mixture_of(
    features: AtLeastOne,
    *,
    context_features: AtLeastZero = 0,
    lattice: Mapping[str, Any] | None = None,
    components: AtLeastOne = 4,
    seed: Seed | None = None,
    flow: Callable[..., Flow],
) -> Mixture:
    """A mixture of flows that are built alike, with weights of their own.

    Args:
        features: size of the event.
        context_features: size of the context, 0 for none.
        lattice: of the data, for flows that ask for it.
        components: K, number of flows.
        seed: of the orders drawn by the first flow; the others have the seeds that follow. None:
            PyTorch's generator draws them.
        flow: builds one from `features`, and `context_features` if there are any.

    Example:
        >>> from functools import partial
        >>> from flowbench.flows import MADE
        >>> len(mixture_of(6, components=3, flow=partial(MADE, hidden_units=[8])).base.flows)
        3
    """
    seeds = [None if seed is None else seed + index for index in range(components)]
    sizes = (features, context_features)
    return Mixture([_built(flow, *sizes, lattice=lattice, seed=own) for own in seeds])


def ensemble(
    features: AtLeastOne,
    *,
    context_features: AtLeastZero = 0,
    lattice: Mapping[str, Any] | None = None,
    measure: Mapping[str, Any] | None = None,
    seed: Seed | None = None,
    flows: Sequence[Callable[..., Flow]],
    weights: Sequence[Positive] | None = None,
) -> Mixture:
    """A mixture of flows of several kinds.

    Args:
        features: size of the event.
        context_features: size of the context, 0 for none.
        lattice: of the data, for flows that ask for it.
        measure: likewise.
        seed: of the orders that flows draw.
        flows: each builds one from `features`, and `context_features` if there are any.
        weights: of the flows, see `Mixture`.

    Example:
        >>> from functools import partial
        >>> from flowbench.flows import MADE, Gaussian
        >>> kinds = [Gaussian, partial(MADE, hidden_units=[8])]
        >>> ensemble(6, flows=kinds, weights=[0.1, 0.9]).features
        6
    """
    known = {"lattice": lattice, "measure": measure, "seed": seed}
    built = [_built(flow, features, context_features, **known) for flow in flows]
    return Mixture(built, weights=weights)


def _built(flow: Callable[..., Flow], features: int, context_features: int, **known: Any) -> Flow:
    """A flow of these sizes, with those of the other arguments that it takes."""
    sizes: dict[str, Any] = {"features": features}
    if context_features:
        sizes["context_features"] = context_features
    taken = inspect.signature(flow).parameters
    own = {name: one for name, one in known.items() if name in taken and one is not None}
    return flow(**sizes, **own)
