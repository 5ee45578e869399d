"""Mixtures of flows that are trained together, each from one Gaussian of a mixture."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from flowbench.config.limits import AtLeastOne, AtLeastZero, Seed
from flowbench.flows.base import Base
from flowbench.flows.flow import Flow
from flowbench.flows.gaussian_mixture import GaussianMixture
from flowbench.transforms import Chain
from flowbench.transforms.weighted_rows import on_rows

__all__ = ["FlowMixture"]

FITTED_ROWS = 20_000


class FlowMixture(Flow):
    r"""p(x) = Σₖ wₖ pₖ(Lₖ⁻¹(x − mₖ)) / |Lₖ| of K flows, trained together with their weights.

    `initialize` takes wₖ, mₖ and Lₖ from a mixture of Gaussians of the training rows. Where the
    flows start at the identity (`zero_output`), so does the training at this mixture; from there
    the likelihood of the whole mixture is maximised.

    Args:
        features: size of the event.
        context_features: size of the context, 0 for none.
        components: K, number of flows.
        seed: of the Gaussians and of the orders that flows draw.
        flow: builds one from `features`, and `context_features` if there are any.

    Example:
        >>> from functools import partial
        >>> from flowbench.flows import MAF
        >>> flow = FlowMixture(2, components=3, flow=partial(MAF, layers=1, hidden_units=[8]))
        >>> flow.initialize(torch.randn(500, 2))
        >>> flow.log_prob(torch.zeros(7, 2)).shape, flow.sample((4,)).shape
        (torch.Size([7]), torch.Size([4, 2]))
    """

    base: "_Local"

    def __init__(
        self,
        features: AtLeastOne,
        *,
        context_features: AtLeastZero = 0,
        components: AtLeastOne = 8,
        seed: Seed = 0,
        flow: Callable[..., Flow],
    ) -> None:
        sizes = {"context_features": context_features} if context_features else {}
        flows = [flow(features, **sizes) for _ in range(components)]
        super().__init__(_Local(flows), Chain())
        self.seed = seed

    @torch.no_grad()
    def initialize(
        self, x: Tensor, context: Tensor | None = None, weight: Tensor | None = None
    ) -> None:
        """Fit the mixture of Gaussians, by 20,000 rows where there are more, then each flow."""
        step = -(-len(x) // FITTED_ROWS)
        start = GaussianMixture(self.features, components=len(self.base.flows), seed=self.seed)
        start.initialize(x[::step], weight=None if weight is None else weight[::step])
        [(log_weights, means, factors)] = start.mixtures()
        self.base.log_weights.copy_(log_weights)
        self.base.means.copy_(means)
        self.base.factors.copy_(factors)
        for place, flow in enumerate(self.base.members):
            on_rows(flow.initialize, self.base.local(x, place), context, weight)

    @torch.no_grad()
    def recompute_statistics(
        self, x: Tensor, context: Tensor | None = None, weight: Tensor | None = None
    ) -> None:
        """Recompute the statistics of every flow from the training rows."""
        for place, flow in enumerate(self.base.members):
            on_rows(flow.recompute_statistics, self.base.local(x, place), context, weight)


class _Local(Base):
    """Flows in coordinates of their own."""

    has_rsample = False
    means: Tensor
    factors: Tensor

    def __init__(self, flows: Sequence[Flow]) -> None:
        super().__init__()
        self.features = flows[0].features
        self.context_features = flows[0].context_features
        self.flows = nn.ModuleList(flows)
        self.log_weights = nn.Parameter(torch.zeros(len(flows)))
        self.register_buffer("means", torch.zeros(len(flows), self.features))
        self.register_buffer("factors", torch.eye(self.features).repeat(len(flows), 1, 1))

    @property
    def members(self) -> list[Flow]:
        """The flows."""
        return list(self.flows)  # type: ignore[arg-type]

    def local(self, x: Tensor, place: int) -> Tensor:
        """Rows in the coordinates of a flow."""
        rows = (x - self.means[place]).reshape(-1, self.features)
        factor = self.factors[place].mT
        u = torch.linalg.solve_triangular(factor, rows, upper=True, left=False)
        return u.view(x.shape)

    def log_prob(self, u: Tensor, context: Tensor | None = None) -> Tensor:
        terms = [flow(self.local(u, place), context) for place, flow in enumerate(self.flows)]
        log_det = self.factors.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        return (torch.stack(terms, -1) - log_det + self.log_weights.log_softmax(0)).logsumexp(-1)

    def sample(self, shape: torch.Size, context: Tensor | None = None) -> Tensor:
        weights = self.log_weights.softmax(0)
        chosen = torch.multinomial(weights, max(1, shape.numel()), replacement=True)
        chosen = chosen[: shape.numel()].view(*shape, 1)
        given = () if context is None else (context.expand(*shape, -1),)
        x = self.means.new_zeros(*shape, self.features)
        for place, flow in enumerate(self.members):
            v = flow.sample_and_log_prob(() if given else shape, *given)[0]
            x = torch.where(chosen == place, v @ self.factors[place].mT + self.means[place], x)
        return x.detach()
