"""Is a density what it claims: invertible, with normal noise, as good on new rows as on old?"""

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from flowbench.data import Batch, DataModule, Rows
from flowbench.data.loader import SequentialLoader
from flowbench.evaluation.base_space import base_normality, embedded, noise
from flowbench.evaluation.invertibility import round_trip_error
from flowbench.evaluation.likelihood import log_likelihoods
from flowbench.evaluation.score import Score
from flowbench.flows import Flow, StandardNormal
from flowbench.transforms import AffineMap
from flowbench.transforms.base import layers_from_data
from flowbench.transforms.univariate import softly_bounded

__all__ = ["bounded_share", "diagnose", "gradient_norms"]

NEAR = 0.95
ROUND_TRIPS = 1000
CHUNK = 1024


def diagnose(flow: Flow, data: DataModule, *, rows: int = 10_000) -> dict[str, Any]:
    """Diagnostics of a trained density.

    Args:
        flow: the density; it is put into evaluation mode.
        data: the data module, set up.
        rows: the first so many rows of a split are looked at.

    Returns:
        `gap`: mean log-likelihood of the training rows less that of the test rows, in nats;
        `gradient_norms`: see there, over up to 64 minibatches of training rows; and for `train`
        and `test` rows each `round_trip`: the largest relative error of data → noise → data, null
        where a value is not finite; `bounded_log_scales`: see `bounded_share`; `base`:
        `base_normality`, null where the base is not a standard normal.
    """
    flow.eval()
    first = {split: data.rows[split].part(slice(rows)).whole() for split in ("train", "test")}
    means = {
        split: Score.of(log_likelihoods(flow, part), weight=part.weight).mean
        for split, part in first.items()
    }
    return {
        "gap": means["train"] - means["test"],
        "gradient_norms": gradient_norms(flow, next(iter(data.train_dataloader()))),
        **{split: _of_rows(flow, part) for split, part in first.items()},
    }


def _of_rows(flow: Flow, rows: Rows) -> dict[str, Any]:
    normal = isinstance(flow.base, StandardNormal)
    first = embedded(flow, rows).batch(slice(ROUND_TRIPS))
    error = round_trip_error(flow.transform, first.x, first.context)
    return {
        "round_trip": error.relative if error.relative == error.relative else None,
        "bounded_log_scales": bounded_share(flow, rows),
        "base": base_normality(noise(flow, rows)) if normal else None,
    }


def gradient_norms(flow: Flow, batches: Iterable[Batch]) -> list[dict[str, Any]]:
    """L2 norms of the gradient of −mean log p, over minibatches, by layer and of all parameters.

    The flow is as it is evaluated: without dropout, with the stored statistics of batch norms.

    Args:
        flow: the density, in evaluation mode.
        batches: minibatches of rows; their size matters, as gradients of small ones are noisier.

    Returns:
        For every layer with parameters, from the data side, then for the base and the embedding
        where they have some, and for all together: `layer`, and the `mean` and `max` of the norm.
    """
    layers = layers_from_data(flow.transform)
    parts: dict[str, list[nn.Parameter]] = {
        f"{place} {type(layer).__name__}": _parameters(layer)
        for place, layer in enumerate(layers, start=1)
    }
    parts["base"] = _parameters(flow.base)
    parts["embedding"] = _parameters(flow.embedding)
    parts["all"] = _parameters(flow)
    parts = {name: parameters for name, parameters in parts.items() if parameters}
    norms: dict[str, list[float]] = {name: [] for name in parts}
    for batch in batches if parts else ():
        loss = -batch.mean(flow(batch.x, batch.context))
        gradients = torch.autograd.grad(loss, parts["all"], allow_unused=True)
        squares = {
            parameter: gradient.double().square().sum()
            for parameter, gradient in zip(parts["all"], gradients, strict=True)
            if gradient is not None
        }
        for name, parameters in parts.items():
            norms[name].append(sum(float(squares.get(p, 0.0)) for p in parameters) ** 0.5)
    return [
        {"layer": name, "mean": sum(values) / len(values), "max": max(values)}
        for name, values in norms.items()
    ]


def bounded_share(flow: Flow, rows: Rows) -> float | None:
    """The share of log-scales beyond 95 % of their soft bound; None where nothing is bounded.

    Where it is not small the bound shapes the density, and a wider one may fit better.
    """
    near, total = 0, 0
    for log_scale, bound in _log_scales(flow, rows):
        near += int((log_scale.abs() > NEAR * bound).sum())
        total += log_scale.numel()
    return near / total if total else None


def _log_scales(flow: Flow, rows: Rows) -> Iterator[tuple[Tensor, float]]:
    """The bounded log-scales of every affine layer, batch by batch, with their bound."""
    found: list[tuple[Tensor, float]] = []
    handles = []
    for layer in layers_from_data(flow.transform):
        map_ = getattr(layer, "univariate", None)
        conditioner = getattr(layer, "conditioner", None)
        if isinstance(map_, AffineMap) and map_.bound is not None and conditioner is not None:
            handles.append(conditioner.register_forward_hook(_keep(found, map_.bound)))
    try:
        for batch in SequentialLoader(embedded(flow, rows), chunk=CHUNK) if handles else ():
            flow.transform.inverse(batch.x, batch.context)
            yield from found
            found.clear()
    finally:
        for handle in handles:
            handle.remove()


def _keep(found: list[tuple[Tensor, float]], bound: float) -> Any:
    def keep(module: object, args: object, params: Tensor) -> None:
        found.append((softly_bounded(params[..., 1].detach(), bound), bound))

    return keep


def _parameters(module: nn.Module | None) -> list[nn.Parameter]:
    return [] if module is None else [p for p in module.parameters() if p.requires_grad]
