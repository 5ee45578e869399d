"""Charts of learning curves, one per data set."""

import itertools
from collections.abc import Iterator, Sequence

from flowbench.metrics import VALIDATION
from flowbench.report.collect import RunRecord
from flowbench.report.settings import Setting
from flowbench.report.svg import COLORS, Chart, Line, curve_range

__all__ = ["learning_curves"]

UNIT = "validation log-likelihood (nats per row)"
SHOWN = 60  # runs of a chart


def learning_curves(settings: Sequence[Setting]) -> Iterator[Chart]:
    """One chart per data set: validation log-likelihood by epoch, one line per run.

    Of many runs those of the best settings are drawn, which come first.
    """
    models = sorted({setting.model for setting in settings})
    styles = {model: f"c{place % COLORS}" for place, model in enumerate(models)}
    for data, group in itertools.groupby(settings, key=lambda setting: setting.data):
        known = [(s, run) for s in group for run in s.runs if not run.history.empty]
        if known:
            yield _chart(data, known, styles)


def _chart(data: str, known: list[tuple[Setting, RunRecord]], styles: dict[str, str]) -> Chart:
    shown = known[:SHOWN]
    lines = [
        Line(
            name=setting.model,
            x=run.history["epoch"],
            y=run.history[VALIDATION],
            style=styles[setting.model],
            title=" · ".join(filter(None, [setting.model, setting.name, f"seed {run.seed}"])),
        )
        for setting, run in reversed(shown)
    ]
    few = len(known) > len(shown)
    return Chart(
        title=f"Learning curves on {data}",
        x="epoch",
        y=UNIT,
        lines=lines,
        range=curve_range([line.y for line in lines]),
        note=f"{len(shown)} of {len(known)} runs, those of the best settings" if few else "",
    )
