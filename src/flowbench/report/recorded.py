"""Charts of the curves that runs recorded during training: test rows by step, words by epoch."""

from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np

from flowbench.evaluation.published import published_curve
from flowbench.report.collect import RunRecord
from flowbench.report.settings import Setting
from flowbench.report.svg import COLORS, OTHER, Chart, Line, curve_range

__all__ = ["has_recorded", "recorded_curves"]

UNIT = "log-likelihood (nats per row)"
WORD_UNIT = "log-likelihood (nats per clip)"


def has_recorded(run: RunRecord) -> bool:
    """Whether a run has recorded a curve during training."""
    return not (run.steps.empty and run.labels.empty)


def recorded_curves(settings: Sequence[Setting], *, runs: int | None = None) -> Iterator[Chart]:
    """One chart per curve that a run has recorded.

    Args:
        settings: whose runs are looked at.
        runs: charts of the first so many runs; None: of all.
    """
    known = ((s, run) for s in settings for run in s.runs if has_recorded(run))
    for setting, run in islice(known, runs):
        title = f"{setting.model} on {setting.data}, seed {run.seed}"
        if not run.steps.empty:
            yield _steps(run, f"{title}: by step")
        if not run.labels.empty:
            yield _words(run, f"{title}: test clips by word")


def _steps(run: RunRecord, title: str) -> Chart:
    source = (run.config.get("published") or {}).get("source")
    step, test, base = (run.steps[key] for key in ("step", "test", "base/test"))
    lines = [
        Line(name="test", x=step, y=test),
        Line(name="under N(0, I)", x=step, y=base, style=OTHER),
    ]
    if known := published_curve(source, run.data) if source else []:
        x, y = np.array([[point[key] for point in known] for key in ("step", "test")], np.float64)
        lines.append(Line(name="published, test", x=x, y=y, style="c1 dotted"))
    return Chart(title=title, x="optimiser step", y=UNIT, lines=lines)


def _words(run: RunRecord, title: str) -> Chart:
    """The learnt word in front; of more than a few others none has a colour of its own."""
    learnt = run.config.get("data", {}).get("train_label")
    others = [label for label in run.labels if label not in ("epoch", learnt)]
    few = len(others) < COLORS
    lines = [
        Line(
            name=label if few else f"{len(others)} others",
            x=run.labels.epoch,
            y=run.labels[label],
            style=f"c{place + 1}" if few else OTHER,
            title=label,
        )
        for place, label in enumerate(others)
    ]
    if learnt in run.labels:
        lines.append(Line(name=learnt, x=run.labels.epoch, y=run.labels[learnt], style="c0 bold"))
    curves = curve_range([line.y for line in lines])
    return Chart(title=title, x="epoch", y=WORD_UNIT, lines=lines, range=curves)
