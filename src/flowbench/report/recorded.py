"""Charts of the curves that runs recorded during training: test rows by step, words by epoch."""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import plotly.graph_objects as go

from flowbench.evaluation.published import published_curve
from flowbench.report.charts import AXIS, COLORS, curve_range, new_figure
from flowbench.report.collect import RunRecord
from flowbench.report.settings import Setting

__all__ = ["recorded_curves"]

OTHERS = "rgba(138,143,152,0.55)"
UNIT = "log-likelihood (nats per row)"
WORD_UNIT = "log-likelihood (nats per clip)"


def recorded_curves(settings: Sequence[Setting]) -> Iterator[tuple[str, go.Figure]]:
    """One chart per run that has recorded something."""
    for setting, run in ((s, run) for s in settings for run in s.runs):
        title = f"{setting.model} on {setting.data}, seed {run.seed}"
        if not run.steps.empty:
            yield f"{title}: by step", _steps(run)
        if not run.labels.empty:
            yield f"{title}: test clips by word", _words(run)


def _steps(run: RunRecord) -> go.Figure:
    figure = new_figure(height=320)
    source = (run.config.get("published") or {}).get("source")
    for name, key, color in (("test", "test", COLORS[0]), ("under N(0, I)", "base/test", OTHERS)):
        _line(figure, run.steps.step, run.steps[key], name=name, color=color)
    if known := published_curve(source, run.data) if source else []:
        steps, test = ([point[key] for point in known] for key in ("step", "test"))
        _line(figure, steps, test, name="published, test", color=COLORS[1], dash="dot")
    figure.update_layout(xaxis={**AXIS, "title": "optimiser step"}, yaxis={**AXIS, "title": UNIT})
    return figure


def _words(run: RunRecord) -> go.Figure:
    """The learnt word in front; of more than a few others none has a colour of its own."""
    figure = new_figure(height=320)
    learnt = run.config.get("data", {}).get("train_label")
    others = [label for label in run.labels if label not in ("epoch", learnt)]
    few = len(others) < len(COLORS)
    colors = COLORS[1:] if few else itertools.repeat(OTHERS)
    for index, (label, color) in enumerate(zip(others, colors, strict=False)):
        _line(figure, run.labels.epoch, run.labels[label], name=label, color=color)
        if not few:
            figure.data[-1].update(
                name=f"{len(others)} others", legendgroup="others", showlegend=index == 0
            )
    if learnt in run.labels:
        _line(figure, run.labels.epoch, run.labels[learnt], name=learnt, color=COLORS[0])
        figure.data[-1].update(line={"width": 3})
    values = [run.labels[label].to_numpy() for label in run.labels if label != "epoch"]
    figure.update_layout(
        xaxis={**AXIS, "title": "epoch"},
        yaxis={**AXIS, "title": WORD_UNIT, "range": curve_range(values)},
    )
    return figure


def _line(
    figure: go.Figure,
    x: Iterable[Any],
    y: Iterable[Any],
    *,
    name: str,
    color: str,
    dash: str = "solid",
) -> None:
    figure.add_scatter(
        x=list(x),
        y=list(y),
        mode="lines",
        name=name,
        line={"color": color, "width": 1.5, "dash": dash},
        hovertemplate=f"{name}<br>%{{x}}: %{{y:.4f}}<extra></extra>",
    )
