"""Rows in base space, where they should be N(0, I)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from flowbench.data import Rows
from flowbench.drawing.style import MODEL, blank, panels, save
from flowbench.evaluation.base_space import noise, normal_quantiles
from flowbench.figures.bands import draw_curves
from flowbench.flows import Flow

__all__ = ["draw_base_space"]

SHOWN_ROWS = 2000


def draw_base_space(flow: Flow, splits: Mapping[str, Rows], path: Path) -> None:
    r"""Draw rows in base space against N(0, I): quantiles by feature, and of ‖u‖² against χ².

    Args:
        flow: a density whose base is standard normal.
        splits: name → rows, some of which are carried back to the noise; one line of panels each.
        path: of the picture.
    """
    figure = blank(8.6, 3.4 * len(splits))
    axes = iter(panels(figure, len(splits), 2))
    for split, rows in splits.items():
        u = noise(flow, rows.part(slice(SHOWN_ROWS)))
        _draw_quantiles(u.sort(dim=0).values, next(axes), split)
        _draw_distances(u, next(axes), split)
    save(figure, path)


def _draw_quantiles(ordered: Tensor, axis: Any, split: str) -> None:
    normal, features = normal_quantiles(len(ordered)), ordered.shape[1]
    few = draw_curves(axis, normal, ordered)
    of = "every feature" if few else f"median and 5–95 % of {features} features"
    axis.set(title=f"{split} rows, {of}")
    axis.set(xlabel="quantile of N(0, 1)", ylabel="quantile of u", ylim=(-5, 5))
    _draw_diagonal(axis, normal)


def _draw_distances(u: Tensor, axis: Any, split: str) -> None:
    n, features = u.shape
    chi2 = torch.distributions.Chi2(torch.tensor(float(features))).sample((100_000,))
    expected = chi2.double().quantile((torch.arange(n).double() + 0.5) / n)
    axis.plot(expected, u.square().sum(1).sort().values, color=MODEL)
    axis.set(title=f"{split} rows, distance from the origin", ylabel="quantile of ‖u‖²")
    axis.set(xlabel=f"quantile of χ² with {features} degrees of freedom")
    axis.set(ylim=(0, 3 * float(expected[-1])))
    _draw_diagonal(axis, expected)


def _draw_diagonal(axis: Any, line: Tensor) -> None:
    axis.plot(line[[0, -1]], line[[0, -1]], color="0.4", linewidth=0.8, linestyle="--")
