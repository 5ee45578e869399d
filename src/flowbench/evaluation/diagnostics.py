"""Is a density what it claims: invertible, with normal noise, as good on new rows as on old?"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from flowbench.data import DataModule, Rows
from flowbench.data.loader import SequentialLoader
from flowbench.evaluation.invertibility import round_trip_error
from flowbench.evaluation.likelihood import log_likelihoods
from flowbench.flows import Flow, StandardNormal
from flowbench.transforms import AffineMap
from flowbench.transforms.base import layers_from_data

__all__ = ["base_normality", "bounded_share", "diagnose"]

NEAR = 0.95


def diagnose(flow: Flow, data: DataModule, *, rows: int = 10_000) -> dict[str, Any]:
    """Diagnostics of a trained density.

    Args:
        flow: the density; it is put into evaluation mode.
        data: the data module, set up.
        rows: the first so many rows of a split are looked at.

    Returns:
        `gap`: mean log-likelihood of the training rows less that of the test rows, in nats;
        `round_trip`: the largest relative error of data → noise → data, null where a value is not
        finite; `bounded_log_scales`: see `bounded_share`; `base`: `base_normality` of the training
        and the test rows, null where the base is no standard normal.
    """
    flow.eval()
    first = {split: _first(data.rows[split], rows) for split in ("train", "test")}
    means = {split: log_likelihoods(flow, part).mean().item() for split, part in first.items()}
    error = round_trip_error(flow.transform, *first["test"].batch(slice(1000))).relative
    normal = isinstance(flow.base, StandardNormal) and len(list(flow.transform.modules())) > 1
    return {
        "gap": means["train"] - means["test"],
        "round_trip": error if error == error else None,
        "bounded_log_scales": bounded_share(flow, first["test"]),
        "base": {s: base_normality(noise(flow, part)) for s, part in first.items()}
        if normal
        else None,
    }


@torch.no_grad()
def noise(flow: Flow, rows: Rows) -> Tensor:
    """The rows on the noise side of a flow, `[rows, features]`."""
    return torch.cat([flow.transform.inverse(*batch)[0] for batch in SequentialLoader(rows)])


def base_normality(u: Tensor) -> dict[str, float]:
    r"""How far noise `[rows, features]` is from N(0, I).

    Returns:
        `ks_max` and `ks_mean` over the features of the Kolmogorov-Smirnov distance
        sup |F(u) − Φ(u)|; `ks_critical`, which a normal feature exceeds in 5 % of samples,
        1.358 / √rows; `correlation_max`: the largest |correlation| of two features.

    Example:
        >>> import torch
        >>> u = torch.randn(1000, 2, generator=torch.Generator().manual_seed(0))
        >>> found = base_normality(u)
        >>> found["ks_max"] < found["ks_critical"], found["correlation_max"] < 0.1
        (True, True)
    """
    u = u.double()
    n = len(u)
    expected = torch.special.ndtr(u.sort(dim=0).values)
    steps = torch.arange(n + 1, dtype=torch.float64).unsqueeze(-1) / n
    distance = torch.maximum(steps[1:] - expected, expected - steps[:-1]).amax(0)
    correlation = 0.0
    if u.shape[1] > 1:
        correlation = u.T.corrcoef().fill_diagonal_(0).abs().max().item()
    return {
        "ks_max": distance.max().item(),
        "ks_mean": distance.mean().item(),
        "ks_critical": 1.358 / n**0.5,
        "correlation_max": correlation,
    }


@torch.no_grad()
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
        for batch in SequentialLoader(rows):
            flow.transform.inverse(*batch)
            yield from found
            found.clear()
    finally:
        for handle in handles:
            handle.remove()


def _keep(found: list[tuple[Tensor, float]], bound: float) -> Any:
    def keep(module: object, args: object, params: Tensor) -> None:
        found.append((torch.tanh(params[..., 1] / bound) * bound, bound))

    return keep


def _first(rows: Rows, count: int) -> Rows:
    return Rows(*rows.batch(slice(count)), rows.log_det.expand(len(rows))[:count])
