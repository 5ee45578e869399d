"""Curves of few features one by one, those of many as a band."""

from typing import Any

import torch
from torch import Tensor

from flowbench.drawing.style import MODEL

__all__ = ["draw_curves"]

FEW = 8
SHARES = (0.05, 0.5, 0.95)


def draw_curves(axis: Any, x: Tensor, curves: Tensor) -> bool:
    """Draw a line for each of few features, or the median and 5–95 % of many.

    Args:
        axis: of Matplotlib.
        x: `[points]`.
        curves: `[points, features]`, in float64.

    Returns:
        Whether the features are few.
    """
    if curves.shape[1] <= FEW:
        axis.plot(x, curves, linewidth=1)
        return True
    low, median, high = curves.quantile(torch.tensor(SHARES, dtype=torch.float64), dim=1)
    axis.fill_between(x, low, high, color=MODEL, alpha=0.25, linewidth=0)
    axis.plot(x, median, color=MODEL)
    return False
