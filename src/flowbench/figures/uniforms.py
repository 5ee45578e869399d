"""Distribution functions at held-out rows, which should be uniform."""

from pathlib import Path

import torch
from torch import Tensor

from flowbench.data import Rows
from flowbench.drawing.style import blank, panels, save
from flowbench.evaluation.base_space import KS_CRITICAL
from flowbench.evaluation.uniformity import uniforms_of
from flowbench.figures.bands import draw_curves
from flowbench.flows import Flow

__all__ = ["draw_uniforms"]


def draw_uniforms(flow: Flow, rows: Rows, path: Path) -> None:
    """Draw by feature how far the shares of rows below each probability are from it.

    Args:
        flow: a density that knows its distribution functions.
        rows: held-out rows.
        path: of the picture.
    """
    found = uniforms_of(flow, rows)
    if found is None:
        raise ValueError("the density does not know its distribution functions")
    places, uniforms = found
    grid = torch.linspace(0, 1, 201, dtype=torch.float64)
    weight = None if rows.weight is None else rows.weight[places].double()
    shares = [_share_below(column, weight, grid) for column in uniforms.mT]
    excess = torch.stack(shares, -1) - grid.unsqueeze(-1)
    equal = len(uniforms) if weight is None else float(weight.sum() ** 2 / weight.square().sum())
    figure = blank(4.6, 3.4)
    [axis] = panels(figure, 1, 1)
    axis.axhspan(-KS_CRITICAL / equal**0.5, KS_CRITICAL / equal**0.5, color="0.9", linewidth=0)
    if draw_curves(axis, grid, excess):
        of = "every column" if flow.by_column else "every feature of the noise"
    else:
        of = "median and 5–95 % of " + ("columns" if flow.by_column else "features of the noise")
    axis.set(title=f"test rows, {of}", xlabel="distribution function")
    axis.set(ylabel="share of rows below, less expected")
    save(figure, path)


def _share_below(column: Tensor, weight: Tensor | None, grid: Tensor) -> Tensor:
    ordered, order = column.sort()
    steps = torch.ones_like(ordered) if weight is None else weight[order]
    shares = torch.cat([steps.new_zeros(1), steps.cumsum(0) / steps.sum()])
    return shares[torch.searchsorted(ordered, grid, right=True)]
