"""A normal base whose parameters depend on the context."""

from collections.abc import Sequence

import torch
from torch import Tensor

from flowbench.config.checked import Checked
from flowbench.config.limits import AtLeastOne, Positive
from flowbench.flows.base import Base, log_normal
from flowbench.nn.mlp import MLP
from flowbench.nn.options import Activation, Initializer
from flowbench.transforms import AffineMap
from flowbench.transforms.univariate import LOG_SCALE_BOUND

__all__ = ["ConditionalNormal"]


class ConditionalNormal(Checked, Base):
    r"""Π N(mᵢ(c), exp(sᵢ(c))²), where a network computes m and s from the context c.

    It starts at N(0, I). The log-scale is softly bounded as in `AffineMap`.

    Args:
        features: size of the event.
        context_features: size of the context.
        hidden_units: width of each hidden layer of the network; none makes it linear.
        activation: name or callable; None is linear.
        log_scale_bound: soft bound on |s|; None leaves it unbounded.
        kernel_initializer: name or callable, for the weights.

    Raises:
        ValueError: an option is out of range, or no context is given.

    Example:
        >>> import torch
        >>> base = ConditionalNormal(2, context_features=3, hidden_units=[8])
        >>> base.log_prob(torch.zeros(5, 2), torch.randn(5, 3)).shape
        torch.Size([5])
    """

    def __init__(
        self,
        features: AtLeastOne,
        *,
        context_features: AtLeastOne,
        hidden_units: Sequence[AtLeastOne] = (),
        activation: Activation | None = "relu",
        log_scale_bound: Positive | None = LOG_SCALE_BOUND,
        kernel_initializer: Initializer = "glorot_uniform",
    ) -> None:
        super().__init__()
        self.features = features
        self.context_features: int = context_features
        self.map: AffineMap = AffineMap(log_scale_bound)
        self.network: MLP = MLP(
            context_features,
            self.map.params,
            outputs=features,
            hidden_units=hidden_units,
            activation=activation,
            kernel_initializer=kernel_initializer,
            zero_output=True,
        )

    def log_prob(self, u: Tensor, context: Tensor | None = None) -> Tensor:  # noqa: D102
        noise, log_derivative = self.map.inverse(u, self._params(context))
        return log_normal(noise) + log_derivative.sum(-1)

    def sample(self, shape: torch.Size, context: Tensor | None = None) -> Tensor:  # noqa: D102
        params = self._params(context)
        noise = torch.randn(*shape, self.features, dtype=params.dtype, device=params.device)
        return self.map(noise, params)[0]

    def from_noise(self, noise: Tensor, context: Tensor | None = None) -> Tensor:  # noqa: D102
        return self.map(noise, self._params(context))[0]

    def uniforms(self, u: Tensor, context: Tensor | None = None) -> Tensor:  # noqa: D102
        return torch.special.ndtr(self.map.inverse(u, self._params(context))[0])

    def _params(self, context: Tensor | None) -> Tensor:
        if context is None:
            raise ValueError("the base depends on a context, but a context was not given")
        return self.network(context)
