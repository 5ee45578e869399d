"""Autoregressive densities: a product of conditional densities."""

from collections.abc import Callable

import torch
from torch import Tensor

from flowbench.flows.base import Base
from flowbench.flows.families import Family, GaussianFamily
from flowbench.nn import AutoregressiveNetwork
from flowbench.nn.contexts import for_each_row

__all__ = ["Autoregressive"]


class Autoregressive(Base):
    r"""p(x) = Πᵢ p(xᵢ | x before i, context), with conditionals from one family.

    A density takes one pass of the network; a sample is drawn feature by feature, in the
    network's order.

    Args:
        network: maps x and a context to `[..., features, family.params]`.
        family: the family of the conditionals.

    Raises:
        ValueError: the network's outputs per feature differ from the family's parameters.

    References:
        Germain et al. 2015, "MADE" (arXiv:1502.03509).

    Example:
        >>> import torch
        >>> from flowbench.flows.families import BernoulliFamily
        >>> network = AutoregressiveNetwork(4, params=1, hidden_units=[8], activation="relu")
        >>> density = Autoregressive(network, BernoulliFamily())
        >>> density.log_prob(torch.ones(3, 4)).shape, density.sample(torch.Size([5])).shape
        (torch.Size([3]), torch.Size([5, 4]))
    """

    def __init__(self, network: AutoregressiveNetwork, family: Family) -> None:
        super().__init__()
        if network.params != family.params:
            raise ValueError(
                f"the network has params={network.params}, expected the {family.params} of "
                f"{type(family).__name__}"
            )
        self.features: int = network.features
        self.context_features: int = network.context_features
        self.network = network
        self.family = family
        self.has_rsample: bool = family.has_rsample
        self.discrete: bool = family.discrete

    def log_prob(self, u: Tensor, context: Tensor | None = None) -> Tensor:  # noqa: D102
        return self.family.log_prob(u, self.network(u, context)).sum(-1)

    def sample(self, shape: torch.Size, context: Tensor | None = None) -> Tensor:  # noqa: D102
        return self._generate(
            shape, shape.numel(), context, lambda params, places: self.family.sample(params)
        )

    def from_noise(self, noise: Tensor, context: Tensor | None = None) -> Tensor:  # noqa: D102
        family = self.family
        if not isinstance(family, GaussianFamily):
            return super().from_noise(noise, context)
        order = torch.tensor(self.network.order, device=noise.device)
        rows = noise.reshape(-1, self.features).index_select(-1, order)
        return self._generate(
            noise.shape[:-1],
            rows.shape[0],
            context,
            lambda params, places: family.from_noise(rows[:, places], params),
        )

    def uniforms(self, u: Tensor, context: Tensor | None = None) -> Tensor:  # noqa: D102
        return self.family.uniform(u, self.network(u, context))

    def _generate(
        self,
        shape: torch.Size,
        rows: int,
        context: Tensor | None,
        next_values: Callable[[Tensor, slice], Tensor],
    ) -> Tensor:
        context = for_each_row(self.network.check_context(context), shape)
        u = self.network.generate(next_values, rows=rows, context=context)
        return u.reshape(*shape, self.features)
