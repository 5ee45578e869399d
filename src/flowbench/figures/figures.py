"""The figures of a run, by name."""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from flowbench.config.words import did_you_mean
from flowbench.data import DataModule, ImageDataModule, SoundDataModule
from flowbench.drawing.learning_curve import learning_curve
from flowbench.drawing.style import save
from flowbench.evaluation.uniformity import uniforms_of
from flowbench.figures.base_space import draw_base_space
from flowbench.figures.completions import can_complete, draw_completions
from flowbench.figures.density import draw_density
from flowbench.figures.neighbours import draw_neighbours
from flowbench.figures.samples import draw_clips, draw_pairs, draw_pictures
from flowbench.figures.uniforms import draw_uniforms
from flowbench.flows import Flow, StandardNormal

__all__ = ["FIGURES", "Subject", "chosen", "draw_figures"]


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What figures are drawn of.

    Attributes:
        flow: the density in model space.
        data: the data module, set up.
        history: the rows of `metrics.csv`.
    """

    flow: Flow
    data: DataModule
    history: Sequence[Mapping[str, Any]]


Draw = Callable[[Path], None]


def _learning_curve(of: Subject) -> Draw | None:
    return (lambda path: save(learning_curve(of.history), path)) if of.history else None


def _density(of: Subject) -> Draw | None:
    if of.data.features != 2 or of.data.context_features:
        return None
    true = getattr(of.data, "log_density", None)
    return lambda path: draw_density(of.flow, of.data.rows["test"].whole(), path, true=true)


def _samples(of: Subject) -> Draw | None:
    flow, data = of.flow, of.data
    if isinstance(data, ImageDataModule):
        return lambda path: draw_pictures(flow, data, path)
    if isinstance(data, SoundDataModule):
        return lambda path: draw_clips(flow, data, path)
    return None


def _completions(of: Subject) -> Draw | None:
    flow, data = of.flow, of.data
    if not isinstance(data, ImageDataModule) or not can_complete(flow, data):
        return None
    return lambda path: draw_completions(flow, data, path)


def _neighbours(of: Subject) -> Draw | None:
    flow, data = of.flow, of.data
    if not isinstance(data, ImageDataModule):
        return None
    return lambda path: draw_neighbours(flow, data, path)


def _pairs(of: Subject) -> Draw | None:
    if isinstance(of.data, ImageDataModule | SoundDataModule) or of.data.features == 1:
        return None
    return lambda path: draw_pairs(of.flow, of.data, path)


def _base_space(of: Subject) -> Draw | None:
    if not isinstance(of.flow.base, StandardNormal):
        return None
    splits = {split: of.data.rows[split].whole() for split in ("train", "test")}
    return lambda path: draw_base_space(of.flow, splits, path)


def _uniforms(of: Subject) -> Draw | None:
    rows = of.data.rows["test"].whole()
    known = uniforms_of(of.flow, rows.part(slice(1))) is not None
    return (lambda path: draw_uniforms(of.flow, rows, path)) if known else None


# Name → what draws it, or None where it does not apply.
FIGURES: dict[str, Callable[[Subject], Draw | None]] = {
    "learning_curve": _learning_curve,
    "density": _density,
    "samples": _samples,
    "completions": _completions,
    "neighbours": _neighbours,
    "pairs": _pairs,
    "base_space": _base_space,
    "uniforms": _uniforms,
}


def chosen(figures: bool | Sequence[str]) -> list[str]:  # noqa: FBT001
    """The names of the figures that are asked for, in the order of `FIGURES`; true: all.

    Raises:
        ValueError: there is no figure of such a name.

    Example:
        >>> chosen(["pairs", "density"])
        ['density', 'pairs']
    """
    if isinstance(figures, bool):
        return list(FIGURES) if figures else []
    for name in figures:
        if name not in FIGURES:
            near = did_you_mean(name, FIGURES)
            raise ValueError(f"figures: {name!r} is none of {', '.join(FIGURES)}{near}")
    return [name for name in FIGURES if name in figures]


def draw_figures(
    flow: Flow,
    data: DataModule,
    history: Sequence[Mapping[str, Any]],
    folder: Path,
    figures: bool | Sequence[str] = True,  # noqa: FBT001, FBT002
) -> None:
    """Draw what applies to a flow and its data; a figure that fails costs a line on stderr only.

    Args:
        flow: the density in model space.
        data: the data module, set up.
        history: the rows of `metrics.csv`.
        folder: of the pictures.
        figures: the names of those to draw; true: all, false: none.

    Raises:
        ValueError: see `chosen`.
    """
    subject = Subject(flow=flow, data=data, history=history)
    draws = {name: draw for name in chosen(figures) if (draw := FIGURES[name](subject))}
    if not draws:
        return
    folder.mkdir(parents=True, exist_ok=True)
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for name, draw in draws.items():
            try:
                draw(folder / f"{name}.png")
            except Exception as error:  # a picture is not worth the result of a long training
                print(f"figures/{name}.png could not be drawn: {error}", file=sys.stderr)
