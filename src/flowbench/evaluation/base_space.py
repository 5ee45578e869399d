"""Data mapped to base space: do they follow N(0, I)?"""

from typing import Any

import torch
from torch import Tensor

from flowbench.data import Rows
from flowbench.data.loader import SequentialLoader
from flowbench.flows import Flow

__all__ = ["base_normality", "embedded", "noise", "normal_quantiles"]

KS_CRITICAL = 1.358  # over √rows, exceeded by 5 % of normal features
SHOWN = (0.001, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999)


def embedded(flow: Flow, rows: Rows) -> Rows:
    """The rows with their contexts embedded, as the layers of the flow see them."""
    if flow.embedding is None or rows.context is None:
        return rows
    return rows.changed(context=flow.embedding(rows.context))


@torch.no_grad()
def noise(flow: Flow, rows: Rows) -> Tensor:
    """The rows mapped to base space, float64 `[rows, features]`."""
    batches = SequentialLoader(embedded(flow, rows))
    parts = [flow.transform.inverse(batch.x, batch.context)[0] for batch in batches]
    return torch.cat([part.cpu().double() for part in parts])


def normal_quantiles(n: int) -> Tensor:
    """The quantiles Φ⁻¹((i + ½) / n) to compare n sorted values with, float64 `[n]`.

    Example:
        >>> normal_quantiles(3)
        tensor([-0.9674,  0.0000,  0.9674], dtype=torch.float64)
    """
    return torch.special.ndtri((torch.arange(n, dtype=torch.float64) + 0.5) / n)


def base_normality(u: Tensor) -> dict[str, Any]:
    r"""How far noise `[rows, features]` is from N(0, I).

    Returns:
        `ks_max` and `ks_mean` over the features of the Kolmogorov-Smirnov distance
        sup |F(u) − Φ(u)|; `ks_critical`, which a normal feature exceeds in 5 % of samples,
        1.358 / √rows; `correlation_max`: the largest |correlation| of two features; `qq_max` and
        `qq_mean` over the features of √mean (u₍ᵢ₎ − z₍ᵢ₎)², z being the quantiles of N(0, 1);
        `quantiles`: at some probabilities that of N(0, 1), and over the features the lowest, mean
        and highest of u.

    Example:
        >>> import torch
        >>> u = torch.randn(1000, 2, generator=torch.Generator().manual_seed(0))
        >>> found = base_normality(u)
        >>> found["ks_max"] < found["ks_critical"], found["correlation_max"] < 0.1
        (True, True)
        >>> found["qq_max"] < 0.1
        True
    """
    ordered = u.double().sort(dim=0).values
    n = len(u)
    expected = torch.special.ndtr(ordered)
    steps = torch.arange(n + 1, dtype=torch.float64).unsqueeze(-1) / n
    distance = torch.maximum(steps[1:] - expected, expected - steps[:-1]).amax(0)
    normal = normal_quantiles(n).unsqueeze(-1)
    deviation = (ordered - normal).square().mean(0).sqrt()
    correlation = 0.0
    if u.shape[1] > 1:
        correlation = u.double().T.corrcoef().fill_diagonal_(0).abs().max().item()
    return {
        "ks_max": distance.max().item(),
        "ks_mean": distance.mean().item(),
        "ks_critical": KS_CRITICAL / n**0.5,
        "correlation_max": correlation,
        "qq_max": deviation.max().item(),
        "qq_mean": deviation.mean().item(),
        "quantiles": [_quantile(ordered, probability) for probability in SHOWN],
    }


def _quantile(ordered: Tensor, probability: float) -> dict[str, float]:
    row = ordered[int(probability * len(ordered))]
    normal = torch.special.ndtri(torch.tensor(probability, dtype=torch.float64))
    values = {"lowest": row.min(), "mean": row.mean(), "highest": row.max()}
    return {
        "probability": probability,
        "normal": normal.item(),
        **{name: value.item() for name, value in values.items()},
    }
