"""A flow: a base distribution pushed through a transform."""

import warnings
from collections.abc import Callable, Sequence
from functools import wraps
from itertools import chain
from typing import Any, ParamSpec, Self, TypeVar, cast

import torch
from torch import Tensor, nn

from flowbench.config.checked import Checked
from flowbench.flows.arguments import (
    as_numbers,
    as_shape,
    refuse_16_bits,
    refuse_context,
    refuse_mismatch,
    refuse_other_than_tensors,
    refuse_parts,
    refuse_shape,
)
from flowbench.flows.base import Base
from flowbench.flows.distribution import FlowDistribution
from flowbench.modes import modes_kept
from flowbench.native.transport import transported
from flowbench.precision import without_autocast
from flowbench.tracing import holds
from flowbench.transforms import Transform, recompute_statistics
from flowbench.transforms.base import common_size
from flowbench.transforms.weighted_rows import on_rows

__all__ = ["Flow"]

P = ParamSpec("P")
T = TypeVar("T")


class _Constructed(Checked):
    """Records its constructor arguments, from which a checkpoint describes a flow."""

    construction: tuple[tuple[Any, ...], dict[str, Any]]

    def __new__(cls, *positional: Any, **named: Any) -> Self:
        made = super().__new__(cls)
        made.__dict__["construction"] = (positional, named)
        return made


def _in_full_precision(method: Callable[P, T]) -> Callable[P, T]:
    """Disable autocast within a method of a flow, and refuse 16-bit parameters."""

    @wraps(method)
    def within(*given: P.args, **named: P.kwargs) -> T:
        own = cast(Flow, given[0])._own_number()
        refuse_16_bits(own.dtype)
        with without_autocast(own.device):
            return method(*given, **named)

    return within


class Flow(_Constructed, nn.Module):
    r"""The density of x = f(u) with u from a base: log p(x) = log p(u) + log |det ∂u/∂x|.

    Calling a flow computes `log_prob`, so that module wrappers work on the training path.

    It computes in the dtype of its parameters, float32 or float64, even under `torch.autocast`.
    Inputs in float16 or bfloat16 are converted to that dtype, as are integers in a context or in
    the events of a discrete flow; 16-bit parameters are refused.

    Args:
        base: distribution of the noise.
        transform: f, noise → data.
        embedding: a module that summarises a raw context `[batch, …]`, which need not be a vector,
            as `[batch, context_features]`. Any flow can be given one by
            `flow.embedding = module`.

    Raises:
        TypeError: the base is not a `Base`, or the transform not a `Transform`.

    Example:
        >>> import torch
        >>> from flowbench.flows import StandardNormal
        >>> from flowbench.transforms import Affine
        >>> flow = Flow(StandardNormal(2), Affine(scale=[1.0, 2.0]))
        >>> flow.log_prob(torch.zeros(5, 2)).shape, flow.sample((3, 4)).shape
        (torch.Size([5]), torch.Size([3, 4, 2]))
    """

    by_column = False  # what `uniforms` are of: columns of x, or else of the noise

    def __init__(
        self, base: Base, transform: Transform, embedding: nn.Module | None = None
    ) -> None:
        super().__init__()
        refuse_parts(base, transform)
        self.base = base
        self.transform = transform
        self.embedding = embedding

    @property
    def features(self) -> int:
        """Size of an event."""
        return self.base.features

    @property
    def context_features(self) -> int | None:
        """Size of the context after any embedding: 0 for none, None if unknown."""
        return common_size([self.base, self.transform])

    @property
    def dtype(self) -> torch.dtype:
        """The dtype it computes in: float32, or float64 after `.double()`."""
        return self._own_number().dtype

    @property
    def device(self) -> torch.device:
        """The device it computes on."""
        return self._own_number().device

    def _own_number(self) -> Tensor:
        own = chain(self.parameters(), self.buffers())
        return next((t for t in own if t.is_floating_point()), torch.empty(()))

    @property
    def has_rsample(self) -> bool:
        """Whether samples are differentiable in the parameters and the context."""
        return self.base.has_rsample

    @property
    def discrete(self) -> bool:
        """Whether it is a distribution over the values 0 and 1, not a density of real numbers."""
        return self.base.discrete

    @property
    def marginalizes(self) -> bool:
        """Whether NaN is a missing cell, which is integrated out, instead of giving NaN."""
        return False

    @property
    def circular(self) -> Sequence[int]:
        """The features that are angles in radians, from 0; most flows have none."""
        return self.base.circular

    def forward(self, x: Tensor | None = None, context: Tensor | None = None) -> Tensor:
        """The same as `log_prob`.

        Raises:
            TypeError: there are no rows.
        """
        if x is None:
            raise TypeError(
                "a flow is called with rows, flow(x, context), and gives their log-densities; "
                "flow.sample(10, context) draws, and flow.distribution(context) is a distribution"
            )
        return self.log_prob(x, context)

    @_in_full_precision
    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Log-density in nats.

        In evaluation mode a row without NaN never gets NaN: where the computation overflows, far
        from all data, its log-density is −inf. In training mode NaN stays NaN, so that failures
        remain visible.

        Args:
            x: `[..., features]`.
            context: `[..., context_features]`, where the flow is conditional.

        Returns:
            The broadcast of the batch shapes of x and context.

        Raises:
            TypeError: x or the context is not a tensor (a density in data units also accepts
                arrays, lists and frames).
            ValueError: x does not end in `features`; the context is unexpected, missing or of the
                wrong size, or its batch shape does not broadcast with that of x; or the numbers
                are complex or not in the flow's dtype.
        """
        refuse_other_than_tensors(self, x=x, context=context)
        refuse_shape(self, x)
        x = as_numbers(self, "x", x)
        try:
            context = self._embed(context)
            if context is not None:
                batch = torch.broadcast_shapes(x.shape[:-1], context.shape[:-1])
                x = x.expand(*batch, self.features)
            log_prob = self._log_prob(x, context)
        except RuntimeError as error:
            refuse_mismatch(self, error, x, context)
            raise
        return log_prob if self.training else _overflow_as_zero_density(log_prob, x, context)

    def _log_prob(self, x: Tensor, context: Tensor | None) -> Tensor:
        """The log-density of checked rows and embedded contexts."""
        u, log_det = transported(self.transform, x, context, forward=False)
        return self.base.log_prob(u, context) + log_det

    @torch.no_grad()
    def sample(
        self, sample_shape: int | Sequence[int] = (), context: Tensor | None = None
    ) -> Tensor:
        """Draw from the density.

        Args:
            sample_shape: number or shape of samples, e.g. `1000` or `(10, 100)`.
            context: `[..., context_features]`; every context gets `sample_shape` samples.

        Returns:
            `[*sample_shape, *context_batch, features]`; a warning reports any that are not finite.

        Raises:
            TypeError: the context is not a tensor.
            ValueError: a number of samples is negative or not a whole number.
        """
        x, _ = self.sample_and_log_prob(sample_shape, context)
        finite = x.isfinite().all(-1)
        if not holds(finite):
            warnings.warn(
                f"{int((~finite).sum())} of {finite.numel()} samples are not finite: the flow "
                "overflows there; bound its log-scales, normalise its layers, or sample in "
                "float64",
                RuntimeWarning,
                stacklevel=2,
            )
        return x

    @_in_full_precision
    def sample_and_log_prob(
        self, sample_shape: int | Sequence[int] = (), context: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Samples as in `sample`, with log-densities; differentiable if `has_rsample`."""
        refuse_other_than_tensors(self, context=context)
        shape = as_shape(sample_shape)
        try:
            context = self._embed(context)
            batch = () if context is None else context.shape[:-1]
            u = self.base.sample(torch.Size((*shape, *batch)), context)
            x, log_det = transported(self.transform, u, context, forward=True)
            return x, self.base.log_prob(u, context) - log_det
        except RuntimeError as error:
            refuse_mismatch(self, error, None, context)
            raise

    @_in_full_precision
    @torch.no_grad()
    def uniforms(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        r"""Numbers that are independent and uniform on [0, 1] if x is drawn from the density.

        They are the distribution functions of the features of the base, each given those before
        it (Rosenblatt 1952), at the noise of x. If `by_column`, these are the conditional
        distribution functions of the columns of x, in the order of the density. Where values have
        probabilities, PyTorch's generator decides within these.

        Args:
            x: `[..., features]` without missing cells.
            context: `[..., context_features]`, where the flow is conditional.

        Returns:
            `[..., features]`.

        Raises:
            NotImplementedError: the distribution functions of the base are not known.

        Example:
            >>> from flowbench.flows import Gaussian
            >>> Gaussian(2).uniforms(torch.tensor([0.0, 1.0]))
            tensor([0.5000, 0.8413])
        """
        context = self._embed(context)
        u, _ = transported(self.transform, as_numbers(self, "x", x), context, forward=False)
        return self.base.uniforms(u, context)

    def distribution(self, context: Tensor | None = None) -> FlowDistribution:
        """The density as a `torch.distributions.Distribution`, composable with others.

        Args:
            context: `[..., context_features]`, where the flow is conditional.

        Returns:
            A distribution with the batch shape of the context and the event shape `(features,)`.

        Raises:
            ValueError: the flow is in training mode and has batch norms or dropout, so that
                densities would depend on the other rows of the batch or on chance.

        Example:
            >>> from flowbench.flows import MADE
            >>> distribution = MADE(3, context_features=2).distribution(torch.zeros(5, 2))
            >>> distribution.batch_shape, distribution.event_shape
            (torch.Size([5]), torch.Size([3]))
        """
        refuse_other_than_tensors(self, context=context)
        bare = self
        if self.embedding is not None:
            bare = Flow(self.base, self.transform)
            bare.training = self.training
        return FlowDistribution(bare, self._embed(context))

    @_in_full_precision
    @torch.no_grad()
    def initialize(
        self, x: Tensor, context: Tensor | None = None, weight: Tensor | None = None
    ) -> None:
        """Fit what is estimated from data in closed form; called once, before training.

        Args:
            x: training rows, `[rows, features]`.
            context: their contexts, `[rows, context_features]`, or None.
            weight: how much each row counts, `[rows]`; None: all the same.
        """
        on_rows(self.transform.initialize, x, self._embed(context), weight)

    @_in_full_precision
    @torch.no_grad()
    def recompute_statistics(
        self, x: Tensor, context: Tensor | None = None, weight: Tensor | None = None
    ) -> None:
        """Set "dataset" batch-norm statistics to those of all training rows; see `BatchNorm`.

        In your own training loop, call it before scoring or sampling, so that `eval()` uses the
        statistics of all rows, not of the latest batches. `flowbench.fit` and `train.py` call it
        before each validation. In a flow in training mode, a part in evaluation mode is frozen:
        its batch norms keep their statistics.

        Args:
            x: all training rows, `[rows, features]`.
            context: their contexts, `[rows, context_features]`, or None.
            weight: how much each row counts, `[rows]`; None: all the same.
        """
        if self.transform.training or not self.training:
            recompute_statistics(self.transform, x, self._embed_rows(context), weight)

    def _embed_rows(self, context: Tensor | None, chunk: int = 8192) -> Tensor | None:
        """The embedded contexts of many rows, on whichever device they are."""
        if context is None or self.embedding is None:
            return context
        device = next(self.parameters(), context).device
        with modes_kept(self.embedding):
            embed = self.embedding.eval()
            return torch.cat([embed(part.to(device)) for part in context.split(chunk)])

    def _embed(self, context: Tensor | None) -> Tensor | None:
        """The context as the transform takes it, after checking it."""
        if context is not None:
            context = as_numbers(self, "context", context)
            context = context if self.embedding is None else self.embedding(context)
        refuse_context(self, context)
        return context


def _overflow_as_zero_density(log_prob: Tensor, x: Tensor, context: Tensor | None) -> Tensor:
    """−inf for NaN, except in rows whose input has NaN; without a device synchronisation."""
    overflow = log_prob.isnan() & ~x.isnan().any(-1)
    if context is not None:
        overflow = overflow & ~context.isnan().any(-1)
    return log_prob.masked_fill(overflow, -torch.inf)
