"""A density in the plane."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from flowbench.data import Rows
from flowbench.drawing.style import blank, panels, save
from flowbench.flows import Flow

__all__ = ["draw_density"]

LogDensity = Callable[[np.ndarray], np.ndarray]


@torch.no_grad()
def draw_density(flow: Flow, rows: Rows, path: Path, *, true: LogDensity | None = None) -> None:
    """Draw the learnt density in the plane, beside the true one where it is known.

    Args:
        flow: a density of two features.
        rows: whose range is drawn.
        path: of the picture.
        true: the true log-density of points `[..., 2]`.
    """
    low, high = rows.x.quantile(0.002, dim=0), rows.x.quantile(0.998, dim=0)
    first, second = (np.linspace(float(a), float(b), 200) for a, b in zip(low, high, strict=True))
    points = np.stack(np.meshgrid(first, second), axis=-1)
    learnt = flow.log_prob(torch.from_numpy(points).to(rows.x)).cpu().numpy()
    shown = {"learnt": learnt} if true is None else {"learnt": learnt, "true": true(points)}
    figure = blank(5.2 * len(shown), 3.6)
    highest = max(float(np.exp(values).max()) for values in shown.values())
    axes = panels(figure, 1, len(shown))
    for axis, (title, values) in zip(axes, shown.items(), strict=True):
        shades = axis.pcolormesh(
            first, second, np.exp(values), vmin=0, vmax=highest, rasterized=True
        )
        axis.set(title=title, xlabel="x1 (model space)", ylabel="x2 (model space)")
        bar = figure.colorbar(shades, ax=axis)
        bar.set_label("density per unit area", size=9)
        bar.ax.tick_params(labelsize=8)
    save(figure, path)
