"""Figures of a run: the learning curve, and in two dimensions the density."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from flowbench.data import Rows
from flowbench.flows import Flow

__all__ = ["draw_density", "draw_learning_curve"]

LogDensity = Callable[[np.ndarray], np.ndarray]


def draw_learning_curve(history: list[dict[str, Any]], path: Path) -> None:
    """Training and validation log-likelihood by epoch."""
    figure, axes = _figure(1)
    epochs = [row["epoch"] for row in history]
    for split in ("train", "val"):
        axes[0].plot(epochs, [row[f"{split}/log_likelihood"] for row in history], label=split)
    axes[0].set(xlabel="epoch", ylabel="mean log-likelihood (nats)")
    axes[0].legend()
    _save(figure, path)


def draw_density(flow: Flow, rows: Rows, path: Path, *, true: LogDensity | None = None) -> None:
    """The learnt density in the plane, beside the true one where it is known.

    Args:
        flow: a density of two features.
        rows: whose range is drawn.
        path: of the picture.
        true: the true log-density of points `[..., 2]`.
    """
    low, high = rows.x.quantile(0.002, dim=0), rows.x.quantile(0.998, dim=0)
    first, second = (np.linspace(float(a), float(b), 200) for a, b in zip(low, high, strict=True))
    points = np.stack(np.meshgrid(first, second), axis=-1)
    with torch.no_grad():
        learnt = flow.log_prob(torch.from_numpy(points).to(rows.x)).cpu().numpy()
    panels = {"learnt": learnt} if true is None else {"learnt": learnt, "true": true(points)}
    figure, axes = _figure(len(panels))
    highest = max(float(np.exp(values).max()) for values in panels.values())
    for axis, (title, values) in zip(axes, panels.items(), strict=True):
        axis.pcolormesh(first, second, np.exp(values), vmin=0, vmax=highest, rasterized=True)
        axis.set(title=title, xlabel="x1", ylabel="x2")
    _save(figure, path)


def _figure(panels: int) -> tuple[Figure, list[Any]]:
    figure = Figure(figsize=(1 + 4 * panels, 4), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, [figure.add_subplot(1, panels, index + 1) for index in range(panels)]


def _save(figure: Figure, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
