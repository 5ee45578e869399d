"""Batch normalisation as an invertible layer."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

import torch
from torch import Tensor, nn

from flowbench import memory, ranks
from flowbench.modes import modes_kept
from flowbench.tracing import assign_lerp
from flowbench.transforms.base import Transform, layers_from_data, real_event
from flowbench.transforms.reshape import Folded
from flowbench.transforms.selected import Selected
from flowbench.transforms.weighted_rows import repeated

__all__ = ["BatchNorm", "Statistics", "moments", "recompute_statistics", "weighing"]

Statistics = Literal["running", "dataset"]
Moments = tuple[Tensor, Tensor]


class BatchNorm(Transform):
    r"""u = (x − m) · exp(γ) / √(v + ε) + β, the flow's batch normalisation.

    Its log |det ∂u/∂x| is Σᵢ [γᵢ − ½ log(vᵢ + ε)]. In training mode, `inverse` (data → noise) uses
    the mean m and biased variance v of the batch, and gradients flow through them; in evaluation
    mode, and always in `forward`, it uses the stored ones, so that the two directions are inverses
    only in evaluation mode. In distributed training, the batch is that of all ranks.

    Every training batch updates the stored statistics, an exponential average over batches. With
    `statistics="dataset"`, `recompute_statistics` replaces them with those of the whole training
    set. A batch norm in evaluation mode (`.eval()`) keeps its statistics, even within a flow in
    training mode.

    Args:
        features: size of the event.
        statistics: what evaluation uses: "running", the average over batches; or "dataset", the
            statistics of the whole training set, once computed.
        epsilon: ε, added to the variance.
        momentum: weight of the newest batch in the running average.

    Raises:
        ValueError: the statistics are unknown, or a training batch has fewer than two rows.

    References:
        Dinh et al. 2017 (arXiv:1605.08803), section 3.7; Papamakarios et al. 2017
        (arXiv:1705.07057), appendix B.

    Example:
        >>> import torch
        >>> layer = BatchNorm(2).eval()
        >>> layer.inverse(torch.ones(3, 2))[0].shape
        torch.Size([3, 2])
    """

    context_features: int = 0
    mean: Tensor
    variance: Tensor

    def __init__(
        self,
        features: int,
        *,
        statistics: Statistics = "dataset",
        epsilon: float = 1e-5,
        momentum: float = 0.1,
    ) -> None:
        super().__init__()
        if statistics not in ("running", "dataset"):
            raise ValueError(
                f"statistics={statistics!r} is unknown: expected 'running' or 'dataset'"
            )
        self.statistics = statistics
        self.epsilon = epsilon
        self.momentum = momentum
        self.log_gamma: nn.Parameter = nn.Parameter(torch.zeros(features))
        self.beta: nn.Parameter = nn.Parameter(torch.zeros(features))
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("variance", torch.ones(features))
        self.row_weight: Tensor | None = None  # of the rows of the present batch, see `weighing`

    def forward(self, u: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:  # noqa: D102
        u = real_event(u, len(self.mean))
        log_scale = self._log_scale(self.variance)
        x = (u - self.beta) * torch.exp(-log_scale) + self.mean
        return x, -log_scale.sum().expand(u.shape[:-1])

    def inverse(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:  # noqa: D102
        x = real_event(x, len(self.mean))
        if self.training:
            return self._normalize(x)
        log_scale = self._log_scale(self.variance)
        u = torch.addcmul(self.beta, x - self.mean, log_scale.exp())
        return u, log_scale.sum().expand(x.shape[:-1])

    def _log_scale(self, variance: Tensor) -> Tensor:
        return self.log_gamma - 0.5 * torch.log(variance + self.epsilon)

    def _normalize(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Data → noise with the statistics of the batch."""
        rows = x.flatten(0, -2) if x.ndim > 1 else x[None]
        if ranks.size() == 1 and len(rows) < 2:
            raise ValueError(
                f"batch statistics need at least two rows, got x of {tuple(x.shape)}; "
                "call .eval() to score, or train on batches of more rows (training.batch_size) or "
                "without batch norms (batch_norm=False)"
            )
        mean, centred, variance = _centred(rows, repeated(self.row_weight, len(rows)))
        log_scale = self._log_scale(variance)
        u = torch.addcmul(self.beta, centred, log_scale.exp())
        assign_lerp(self.mean, mean, self.momentum)
        assign_lerp(self.variance, variance, self.momentum)
        return u.reshape(x.shape), log_scale.sum().expand(x.shape[:-1])


@contextmanager
def weighing(flow: nn.Module, weight: Tensor | None) -> Iterator[None]:
    """Let the rows of a batch count by their weights in the statistics of a flow's batch norms.

    Args:
        flow: in training mode.
        weight: `[rows]`; None: all count the same.

    Example:
        >>> norm = BatchNorm(1, momentum=1.0)
        >>> with weighing(norm, torch.tensor([3.0, 1.0])):
        ...     _ = norm.inverse(torch.tensor([[0.0], [4.0]]))
        >>> norm.mean
        tensor([1.])
    """
    if weight is None:
        yield
        return
    norms = [module for module in flow.modules() if isinstance(module, BatchNorm)]
    for norm in norms:
        norm.row_weight = weight
    try:
        yield
    finally:
        for norm in norms:
            norm.row_weight = None


def _centred(x: Tensor, weight: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """Mean, centred rows and biased variance, with statistics over all ranks."""
    if ranks.size() == 1 and weight is None:
        mean = x.mean(0)
        centred = x - mean
        return mean, centred, centred.square().mean(0)
    counts = x.new_ones(len(x), 1) if weight is None else weight.to(x.dtype).unsqueeze(-1)
    *sums, count = _total(torch.cat([(counts * x).sum(0), counts.sum(0)])).split(x.shape[-1])
    mean = sums[0] / count
    centred = x - mean
    return mean, centred, _total((counts * centred.square()).sum(0)) / count


def _total(value: Tensor) -> Tensor:
    """The sum over all ranks, differentiable."""
    if ranks.size() == 1:
        return value
    from torch.distributed.nn.functional import all_reduce

    return all_reduce(value)


@torch.no_grad()
def recompute_statistics(
    transform: Transform,
    x: Tensor,
    context: Tensor | None = None,
    weight: Tensor | None = None,
    *,
    chunk: int = 8192,
) -> None:
    """Set the statistics of every "dataset" batch norm to those of the whole training set.

    The rows pass through the layers in turn, from data to noise, so that a layer's statistics are
    computed after those of the earlier layers were replaced, as in the original code of the MAF
    paper. One copy of the rows is made where they are stored: on a device, in memory, or in a
    memory-mapped file. Rows on another device than the transform are moved chunk by chunk. In a
    transform in training mode, a batch norm in evaluation mode is frozen: it keeps its statistics.

    Args:
        transform: the transform of a flow; its mode is unchanged.
        x: all training rows, `[rows, features]`; in distributed training, this rank's share.
        context: their contexts, `[rows, context_features]`, or None.
        weight: how much each row counts, `[rows]`; None: all the same.
        chunk: number of rows that pass through a layer at once.

    Example:
        >>> import torch
        >>> norm = BatchNorm(1)
        >>> recompute_statistics(norm, torch.tensor([[1.0], [3.0]]))
        >>> norm.mean, norm.variance
        (tensor([2.]), tensor([1.]))
    """
    norms: set[nn.Module] = {
        module
        for module in transform.modules()
        if isinstance(module, BatchNorm)
        and module.statistics == "dataset"
        and (module.training or not transform.training)
    }
    with modes_kept(transform):
        _recompute(transform.eval(), norms, x, context, weight, chunk)


def _recompute(
    transform: Transform,
    norms: set[nn.Module],
    x: Tensor,
    context: Tensor | None,
    weight: Tensor | None,
    chunk: int,
) -> None:
    """Set the statistics of the given batch norms of a transform in evaluation mode."""
    layers = layers_from_data(transform)
    device = next(transform.buffers(), x).device
    wanted = [i for i, layer in enumerate(layers) if not norms.isdisjoint(layer.modules())]
    last = max(wanted, default=-1)
    x = memory.empty_like(x).copy_(x) if last > 0 else x
    for index, layer in enumerate(layers[: last + 1]):
        if isinstance(layer, Folded | Selected):
            rows, given = layer.fold(x, context)
            _recompute(layer.transform, norms, rows, given, repeated(weight, len(rows)), chunk)
        elif isinstance(layer, BatchNorm) and layer in norms:
            weights = None if weight is None else weight.split(chunk)
            count = float(len(x) if weight is None else weight.sum())
            mean, variance = _over_ranks(*moments(x.split(chunk), weights), count)
            layer.mean.copy_(mean)
            layer.variance.copy_(variance)
        if index == last:
            return
        for start in range(0, len(x), chunk):
            part = slice(start, start + chunk)
            given = None if context is None else context[part].to(device)
            x[part], _ = layer.inverse(x[part].to(device), given)


def _over_ranks(mean: Tensor, variance: Tensor, count: float) -> Moments:
    """Moments of the rows of all ranks, from those of each rank."""
    if ranks.size() == 1:
        return mean, variance
    found = ranks.gathered((mean.cpu(), variance.cpu(), count))
    means, variances, counts = zip(*found, strict=True)
    weights = torch.tensor(counts, dtype=torch.float64).unsqueeze(-1) / sum(counts)
    overall = (weights * torch.stack(means)).sum(0)
    squares = torch.stack(variances) + (torch.stack(means) - overall).square()
    return overall, (weights * squares).sum(0)


def moments(parts: Sequence[Tensor], weights: Sequence[Tensor] | None = None) -> Moments:
    """Mean and biased variance over all parts, in float64 (Chan et al. 1979).

    Args:
        parts: rows `[rows, features]`.
        weights: how much each row of each part counts; None: all the same.

    Example:
        >>> import torch
        >>> moments([torch.tensor([[1.0], [3.0]]), torch.tensor([[5.0]])])
        (tensor([3.], dtype=torch.float64), tensor([2.6667], dtype=torch.float64))
    """
    mean = squares = torch.zeros((), dtype=torch.float64)
    count = 0.0
    for place, part in enumerate(parts):
        part = (part.cpu() if part.is_mps else part).to(torch.float64)  # MPS has no float64
        variance, part_mean, total = _moments(part, None if weights is None else weights[place])
        share = total / (count + total)
        squares = squares + variance * total + (part_mean - mean) ** 2 * (count * share)
        mean = mean + (part_mean - mean) * share
        count += total
    return mean, squares / count


def _moments(part: Tensor, weight: Tensor | None) -> tuple[Tensor, Tensor, float]:
    """Biased variance, mean and total weight."""
    if weight is None:
        return *torch.var_mean(part, dim=0, correction=0), len(part)
    weight = weight.to(part).unsqueeze(-1)
    mean = (weight * part).sum(0) / weight.sum()
    return (weight * (part - mean).square()).sum(0) / weight.sum(), mean, float(weight.sum())
