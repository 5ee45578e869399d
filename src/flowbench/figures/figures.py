"""Figures of a run: learning curve, density in the plane, samples against data, base space."""

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor

from flowbench.config.signatures import did_you_mean
from flowbench.data import DataModule, Rows
from flowbench.data.images.base import ImageDataModule
from flowbench.data.sound.base import SoundDataModule
from flowbench.evaluation.base_space import noise, normal_quantiles
from flowbench.figures.samples import draw_clips, draw_pairs, draw_pictures
from flowbench.figures.style import DATA, MODEL, new_figure, plain, save
from flowbench.flows import Flow, StandardNormal

__all__ = [
    "FIGURES",
    "chosen",
    "draw_base_space",
    "draw_density",
    "draw_figures",
    "draw_learning_curve",
]

LogDensity = Callable[[np.ndarray], np.ndarray]
FIGURES = ("learning_curve", "density", "samples", "pairs", "base_space")
SHOWN_ROWS = 2000
FEW_FEATURES = 8


def chosen(names: Sequence[str] | None) -> list[str]:
    """The figures of these names, in the order of `FIGURES`; None: all.

    Raises:
        ValueError: there is no figure of such a name.

    Example:
        >>> chosen(["pairs", "density"])
        ['density', 'pairs']
    """
    for name in names or ():
        if name not in FIGURES:
            near = did_you_mean(name, FIGURES)
            raise ValueError(f"figures: {name!r} is none of {', '.join(FIGURES)}{near}")
    return [name for name in FIGURES if names is None or name in names]


def draw_figures(
    flow: Flow,
    data: DataModule,
    history: list[dict[str, Any]],
    folder: Path,
    names: Sequence[str] | None = None,
) -> None:
    """Draw whatever applies to a trained flow and its data; one that fails is only told.

    Args:
        flow: the density in model space.
        data: the data module, set up.
        history: the rows of `metrics.csv`.
        folder: of the pictures.
        names: of the figures; None: all, an empty list: none.

    Raises:
        ValueError: see `chosen`.
    """
    wanted = chosen(names)
    rows = data.rows["test"]
    drawings: dict[str, Callable[[Path], None]] = {}
    if history:
        drawings["learning_curve"] = lambda path: draw_learning_curve(history, path)
    if data.features == 2 and not data.context_features:
        true = getattr(data, "log_density", None)
        drawings["density"] = lambda path: draw_density(flow, rows, path, true=true)
    if isinstance(data, ImageDataModule):
        drawings["samples"] = lambda path: draw_pictures(flow, data, path)
    elif isinstance(data, SoundDataModule):
        drawings["samples"] = lambda path: draw_clips(flow, data, path)
    elif data.features > 1:
        drawings["pairs"] = lambda path: draw_pairs(flow, data, path)
    if isinstance(flow.base, StandardNormal):
        splits = {split: data.rows[split] for split in ("train", "test")}
        drawings["base_space"] = lambda path: draw_base_space(flow, splits, path)
    drawings = {name: draw for name, draw in drawings.items() if name in wanted}
    if not drawings:
        return
    folder.mkdir(parents=True, exist_ok=True)
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for name, draw in drawings.items():
            try:
                draw(folder / f"{name}.png")
            except Exception as error:  # a picture is not worth the result of a long training
                print(f"figures/{name}.png could not be drawn: {error}", file=sys.stderr)


def draw_learning_curve(history: list[dict[str, Any]], path: Path) -> None:
    """Training and validation log-likelihood by epoch."""
    figure, [axis] = new_figure(1)
    epochs = [row["epoch"] for row in history]
    for split, color in (("train", DATA), ("val", MODEL)):
        values = [row[f"{split}/log_likelihood"] for row in history]
        axis.plot(epochs, values, color=color, label=split, marker="." if len(epochs) < 30 else "")
    axis.set(xlabel="epoch", ylabel="mean log-likelihood (nats per row)")
    axis.xaxis.get_major_locator().set_params(integer=True)
    axis.legend(frameon=False)
    save(figure, path)


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
    figure, axes = new_figure(len(panels))
    highest = max(float(np.exp(values).max()) for values in panels.values())
    for axis, (title, values) in zip(axes, panels.items(), strict=True):
        axis.pcolormesh(first, second, np.exp(values), vmin=0, vmax=highest, rasterized=True)
        axis.set(title=title, xlabel="x1", ylabel="x2")
    save(figure, path)


def draw_base_space(flow: Flow, splits: Mapping[str, Rows], path: Path) -> None:
    r"""Rows in base space against N(0, I): quantiles by feature, and of ‖u‖² against χ².

    Args:
        flow: a density whose base is standard normal.
        splits: name → rows, some of which are carried back to the noise; one line of panels each.
        path: of the picture.
    """
    figure = Figure(figsize=(8.6, 3.4 * len(splits)), layout="constrained")
    FigureCanvasAgg(figure)
    for line, (split, rows) in enumerate(splits.items()):
        u = noise(flow, rows.part(slice(SHOWN_ROWS)))
        left, right = (plain(figure.add_subplot(len(splits), 2, 2 * line + k)) for k in (1, 2))
        _draw_quantiles(u.sort(dim=0).values, left, split)
        _draw_distances(u, right, split)
    save(figure, path)


def _draw_quantiles(ordered: Tensor, axis: Any, split: str) -> None:
    normal, features = normal_quantiles(len(ordered)), ordered.shape[1]
    if features <= FEW_FEATURES:
        axis.plot(normal, ordered, linewidth=1)
        axis.set(title=f"{split} rows, every feature")
    else:
        band = ordered.quantile(torch.tensor([0.05, 0.5, 0.95]).double(), dim=1)
        axis.fill_between(normal, band[0], band[2], color=MODEL, alpha=0.25, linewidth=0)
        axis.plot(normal, band[1], color=MODEL)
        axis.set(title=f"{split} rows, median and 5–95 % of {features} features")
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
