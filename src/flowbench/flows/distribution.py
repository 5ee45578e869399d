"""Flows as `torch.distributions`, composable with the rest of PyTorch."""

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, constraints

from flowbench.flows.arguments import as_shape, refuse_other_than_tensors
from flowbench.transforms import BatchNorm

if TYPE_CHECKING:
    from flowbench.flows.flow import Flow

__all__ = ["FlowDistribution"]


class FlowDistribution(Distribution):
    """A flow with a fixed context; returned by `Flow.distribution` and `AutoregressiveTransform`.

    Args:
        flow: the density; its parameters are shared.
        context: `[*batch_shape, context_features]`, or None.
        batch_shape: batch shape of the distribution, to which that of the context broadcasts.
        validate_args: whether `log_prob` checks that values are in the support.

    Raises:
        ValueError: the flow is in training mode and has batch norms or dropout, so that a density
            would depend on the other rows of its batch or on chance; every method raises it too
            if the flow is put into training mode later.

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

    def __init__(
        self,
        flow: "Flow",
        context: Tensor | None = None,
        batch_shape: Sequence[int] | None = None,
        *,
        validate_args: bool = False,
    ) -> None:
        _refuse_training(flow)
        if batch_shape is None:
            batch_shape = () if context is None else context.shape[:-1]
        self.flow = flow
        self.context: Tensor | None = (
            context if context is None else context.expand(*batch_shape, -1)
        )
        self.has_rsample: bool = flow.has_rsample
        event_shape = torch.Size([flow.features])
        super().__init__(torch.Size(batch_shape), event_shape, validate_args=validate_args)

    @property
    def arg_constraints(self) -> dict[str, constraints.Constraint]:  # noqa: D102
        return {}

    @constraints.dependent_property(event_dim=1)
    def support(self) -> constraints.Constraint:  # type: ignore[override]
        """Vectors of real numbers, or of 0 and 1 if the flow is discrete."""
        if self.flow.discrete:
            return constraints.independent(constraints.boolean, 1)
        return constraints.real_vector

    def __deepcopy__(self, memo: dict[int, Any]) -> "FlowDistribution":
        """Copy the flow and the values of the context, detached from its graph."""
        context = None if self.context is None else self.context.detach().clone()
        flow = copy.deepcopy(self.flow, memo)
        return FlowDistribution(flow, context, self.batch_shape, validate_args=self._validate_args)

    def expand(
        self, batch_shape: Sequence[int], _instance: Distribution | None = None
    ) -> "FlowDistribution":
        """The same distribution with a larger batch shape.

        Raises:
            ValueError: the current batch shape does not expand to the new one.
        """
        batch_shape = torch.Size(batch_shape)
        try:
            fits = torch.broadcast_shapes(self.batch_shape, batch_shape) == batch_shape
        except RuntimeError:
            fits = False
        if not fits:
            raise ValueError(
                f"batch_shape={tuple(self.batch_shape)} does not expand to {tuple(batch_shape)}"
            )
        return FlowDistribution(
            self.flow, self.context, batch_shape, validate_args=self._validate_args
        )

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-density in nats of `[..., features]`, with the batch shapes broadcast.

        Raises:
            TypeError: the value is not a tensor.
        """
        refuse_other_than_tensors(self.flow, value=value)
        _refuse_training(self.flow)
        if self._validate_args:
            self._validate_sample(value)
        batch = torch.broadcast_shapes(value.shape[:-1], self.batch_shape)
        return self.flow.log_prob(value.expand(*batch, -1), self.context)

    @torch.no_grad()
    def sample(self, sample_shape: int | Sequence[int] = ()) -> Tensor:  # type: ignore[override]
        """Draw `[*sample_shape, *batch_shape, features]`; the shape may be a single number."""
        return self._draw(sample_shape)

    def rsample(self, sample_shape: int | Sequence[int] = ()) -> Tensor:  # type: ignore[override]
        """Draw as `sample` does, differentiably in the parameters and the context.

        Raises:
            NotImplementedError: the samples are not differentiable (`has_rsample`).
        """
        if not self.has_rsample:
            raise NotImplementedError(
                f"samples of {type(self.flow).__name__} with a {type(self.flow.base).__name__} "
                "base carry no gradients: use sample and the score function instead"
            )
        return self._draw(sample_shape)

    def _draw(self, sample_shape: int | Sequence[int]) -> Tensor:
        _refuse_training(self.flow)
        shape = as_shape(sample_shape)
        if self.context is None:
            shape = (*shape, *self.batch_shape)
        return self.flow.sample_and_log_prob(shape, self.context)[0]


def _refuse_training(flow: "Flow") -> None:
    for layer in flow.modules():
        if layer.training and (
            isinstance(layer, BatchNorm) or (isinstance(layer, nn.Dropout) and layer.p > 0)
        ):
            raise ValueError(
                "the flow is in training mode, where the density of a row depends on its batch "
                "(batch norm) or on chance (dropout), which is not a distribution: call .eval() "
                "first"
            )
