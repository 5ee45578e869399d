"""An autoregressive network as a layer that maps one distribution to another."""

import copy

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from flowbench.flows.base import Base
from flowbench.flows.distribution import FlowDistribution
from flowbench.flows.flow import Flow
from flowbench.nn import AutoregressiveNetwork
from flowbench.transforms import AffineMap, MaskedAutoregressive

__all__ = ["AutoregressiveTransform", "DistributionBase"]


class AutoregressiveTransform(nn.Module):
    r"""xᵢ = uᵢ exp(sᵢ) + tᵢ with (t, s) = network(x): maps the distribution of u to that of x.

    It is one layer of masked autoregressive flow between two `torch.distributions`.

    Args:
        network: the network, with two parameters per feature.
        log_scale_bound: soft bound on |s|; None leaves it unbounded.

    Raises:
        ValueError: the network does not have two parameters per feature, or (in a call) the base
            is not over vectors of the network's size.

    References:
        Papamakarios et al. 2017 (arXiv:1705.07057), section 3.1.

    Example:
        >>> import torch
        >>> from torch.distributions import Independent, Normal
        >>> layer = AutoregressiveTransform(
        ...     AutoregressiveNetwork(2, params=2, hidden_units=[10], activation="relu")
        ... )
        >>> distribution = layer(Independent(Normal(torch.zeros(2), torch.ones(2)), 1))
        >>> distribution.sample((4,)).shape, distribution.log_prob(torch.zeros(5, 3, 2)).shape
        (torch.Size([4, 2]), torch.Size([5, 3]))
    """

    def __init__(
        self, network: AutoregressiveNetwork, *, log_scale_bound: float | None = 7.0
    ) -> None:
        super().__init__()
        if network.params != 2:
            raise ValueError(
                f"the network has params={network.params}, expected shift and log-scale"
            )
        self.features: int = network.features
        self.transform: MaskedAutoregressive = MaskedAutoregressive(
            network, AffineMap(log_scale_bound)
        )

    def forward(self, base: Distribution, context: Tensor | None = None) -> FlowDistribution:
        """Move a distribution through the layer.

        Args:
            base: distribution of u, with event shape `(features,)` and any batch shape.
            context: `[..., context_features]`, if the network is conditional.

        Returns:
            The distribution of x; the batch shapes of base and context broadcast.
        """
        if base.event_shape != (self.features,):
            raise ValueError(
                f"the base has event_shape={tuple(base.event_shape)}, expected "
                f"({self.features},), e.g. by torch.distributions.Independent"
            )
        batch = () if context is None else context.shape[:-1]
        flow = Flow(DistributionBase(base).to(next(self.parameters())), self.transform)
        flow.training = self.training
        return FlowDistribution(flow, context, torch.broadcast_shapes(base.batch_shape, batch))


class DistributionBase(Base):
    """A torch distribution over vectors as the base of a flow.

    Its tensors do not belong to the module, but it is evaluated and sampled in the flow's dtype
    and on the flow's device. Outside its support the log-density is −inf.

    Args:
        distribution: the distribution, with event shape `(features,)`.

    Example:
        >>> import torch
        >>> from torch.distributions import MultivariateNormal
        >>> base = DistributionBase(MultivariateNormal(torch.zeros(2), torch.eye(2)))
        >>> base.log_prob(torch.zeros(5, 2)).shape, base.sample(torch.Size([3])).shape
        (torch.Size([5]), torch.Size([3, 2]))
    """

    context_features: int = 0

    def __init__(self, distribution: Distribution) -> None:
        super().__init__()
        self.features: int = distribution.event_shape[0]
        self.distribution = distribution
        self.has_rsample: bool = distribution.has_rsample
        self.anchor: Tensor
        self.register_buffer("anchor", torch.zeros(()), persistent=False)

    def log_prob(self, u: Tensor, context: Tensor | None = None) -> Tensor:  # noqa: D102
        distribution = _like(self.distribution, self.anchor)
        log_prob = distribution.log_prob(u)
        try:
            inside = distribution.support.check(u)  # type: ignore[union-attr]
        except NotImplementedError:
            return log_prob
        log_prob = log_prob.masked_fill(~inside, -torch.inf)
        return log_prob.masked_fill(u.isnan().any(-1), torch.nan)

    def sample(self, shape: torch.Size, context: Tensor | None = None) -> Tensor:  # noqa: D102
        distribution = _like(self.distribution, self.anchor).expand(shape)
        return distribution.rsample() if self.has_rsample else distribution.sample()


def _like(distribution: Distribution, anchor: Tensor) -> Distribution:
    """A copy of a distribution with the dtype and device of a tensor, without validation."""
    twin = copy.copy(distribution)
    twin._validate_args = False
    for name, part in vars(twin).items():
        if isinstance(part, Distribution):
            vars(twin)[name] = _like(part, anchor)
        elif isinstance(part, Tensor) and part.is_floating_point():
            vars(twin)[name] = part.to(anchor)
    return twin
