"""Flows as `torch.distributions`: what the rest of PyTorch composes."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.distributions import Distribution, constraints

if TYPE_CHECKING:
    from flowbench.flows.flow import Flow

__all__ = ["FlowDistribution"]


class FlowDistribution(Distribution):
    """A flow with its context fixed; made by `Flow.distribution` and `AutoregressiveTransform`.

    Args:
        flow: the density; parameters stay shared with it.
        context: `[*batch_shape, context_features]`, or None.
        batch_shape: that of the distribution, which the context's broadcasts to.

    Example:
        >>> import torch
        >>> from flowbench.flows import MAF
        >>> mixture = torch.distributions.MixtureSameFamily(
        ...     torch.distributions.Categorical(logits=torch.zeros(4)),
        ...     MAF(2, context_features=3, batch_norm=False).distribution(torch.randn(4, 3)),
        ... )
        >>> mixture.log_prob(torch.zeros(7, 2)).shape, mixture.sample((5,)).shape
        (torch.Size([7]), torch.Size([5, 2]))
    """

    arg_constraints = {}  # type: ignore[assignment]  # noqa: RUF012
    support = constraints.real_vector  # type: ignore[assignment]

    def __init__(
        self, flow: "Flow", context: Tensor | None = None, batch_shape: Sequence[int] | None = None
    ) -> None:
        if batch_shape is None:
            batch_shape = () if context is None else context.shape[:-1]
        self.flow = flow
        self.context = context if context is None else context.expand(*batch_shape, -1)
        self.has_rsample = flow.has_rsample
        super().__init__(torch.Size(batch_shape), torch.Size([flow.features]), validate_args=False)

    def expand(
        self, batch_shape: Sequence[int], _instance: Distribution | None = None
    ) -> "FlowDistribution":
        """The same distribution with a larger batch shape."""
        return FlowDistribution(self.flow, self.context, batch_shape)

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-density in nats of `[..., features]`, with the batch shapes broadcast."""
        batch = torch.broadcast_shapes(value.shape[:-1], self.batch_shape)
        return self.flow.log_prob(value.expand(*batch, -1), self.context)

    @torch.no_grad()
    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:  # type: ignore[override]
        """Draw `[*sample_shape, *batch_shape, features]`."""
        return self._draw(sample_shape)

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:  # type: ignore[override]
        """Draw the same, with gradients to parameters and context.

        Raises:
            NotImplementedError: the samples are not differentiable (`has_rsample`).
        """
        if not self.has_rsample:
            raise NotImplementedError(
                f"samples of {type(self.flow).__name__} with a {type(self.flow.base).__name__} "
                "base carry no gradients: use sample and the score function instead"
            )
        return self._draw(sample_shape)

    def _draw(self, sample_shape: Sequence[int]) -> Tensor:
        if self.context is None:
            sample_shape = (*sample_shape, *self.batch_shape)
        return self.flow.sample_and_log_prob(sample_shape, self.context)[0]
