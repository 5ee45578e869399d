"""The report as one HTML page, with pictures beside it, that needs nothing from elsewhere."""

from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files
from itertools import islice
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from flowbench import formatting
from flowbench.evaluation.text import calibration_lines, describe
from flowbench.report.collect import RunRecord
from flowbench.report.curves import learning_curves
from flowbench.report.effects import Effect, Sweep
from flowbench.report.overview import overview
from flowbench.report.recorded import has_recorded, recorded_curves
from flowbench.report.results import Table
from flowbench.report.settings import Setting
from flowbench.report.svg import Chart
from flowbench.report.table import score_of
from flowbench.report.text import EFFECTS, effects_table

__all__ = ["render_page"]

STATUSES = ("finished", "unfinished", "pruned", "failed")
TOLD_IN_FULL = 100  # runs, with the scores of every label
RECORDED = 20  # runs
GALLERY = 60  # pictures
SAMPLES = ("samples", "pairs", "density")  # the first of these that a run has
LONGEST = 600  # letters of an error


def render_page(
    runs: Sequence[RunRecord],
    settings: Sequence[Setting],
    *,
    title: str,
    table: Table,
    sweeps: Sequence[Sweep] = (),
    unreadable: Mapping[Path, str] | None = None,
    picture: Callable[[Path], str],
) -> str:
    """The whole page.

    Args:
        runs: as `collect` gives them.
        settings: as `settings_of` groups them.
        title: what they are called together, e.g. the name of the tree.
        table: of their results.
        sweeps: the effects of swept options.
        unreadable: run folder → why it cannot be read.
        picture: the address of a picture, given its file.
    """
    environment = Environment(
        loader=PackageLoader("flowbench.report", "page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "picture": picture,
        "words": lambda name: name.replace("_", " "),
        "short": lambda text: text if len(text) <= LONGEST else f"{text[:LONGEST]}…",
    }
    counts = {status: sum(run.status == status for run in runs) for status in STATUSES}
    cells = overview(settings)
    recording = [run for setting in settings for run in setting.runs if has_recorded(run)]
    return environment.get_template("page.html").render(
        title=title,
        counts={status: count for status, count in counts.items() if count},
        runs=runs,
        settings=settings,
        table=table,
        unreadable=unreadable or {},
        overview=cells,
        gallery=list(islice(_gallery(cells), GALLERY)),
        curves=_drawn(learning_curves(settings)),
        sweeps=[(sweep.title, effects_table(sweep), _intervals(sweep)) for sweep in sweeps],
        effects_note=EFFECTS,
        recorded=_drawn(recorded_curves(settings, runs=RECORDED)),
        not_drawn=max(0, len(recording) - RECORDED),
        n=formatting,
        told=lambda run: _told(run, in_full=len(runs) <= TOLD_IN_FULL),
        score=score_of,
        css=_part("page.css"),
        js=_part("page.js"),
    )


def _told(run: RunRecord, *, in_full: bool) -> str:
    """The scores of a run on its test rows and whether it is calibrated, in lines."""
    left_out = () if in_full else ("anomaly",)
    block = {key: value for key, value in run.result["test"].items() if key not in left_out}
    calibration = run.result.get("calibration")
    lines = calibration_lines(calibration) if calibration else []
    return "\n".join([*describe(block, "test"), *lines])


def _gallery(cells: Mapping[str, Mapping[str, Any]]) -> Any:
    """The first picture of samples of every model on every data set, with whose they are."""
    for row in cells.values():
        for cell in row.values():
            for run in cell.setting.finished[:1] if cell.setting else ():
                name = next((name for name in SAMPLES if name in run.figures), None)
                if name:
                    yield f"{run.model} on {cell.setting.ranking}", name, run.figures[name]


def _drawn(charts: Any) -> list[tuple[Chart, Markup]]:
    return [(chart, chart.svg()) for chart in charts]


def _intervals(sweep: Sweep) -> list[Markup]:
    """The picture of each effect: a point with its interval, all on one scale, and a rule at 0."""
    low, high = sweep.reach
    width = (high - low) or 1.0

    def place(value: float) -> str:
        return f"{6 + 188 * (value - low) / width:.1f}"

    def drawn(effect: Effect) -> Markup:
        rule = f'<path class="axis" d="M{place(0.0)},0V18"/>'
        value, error = effect.difference, effect.two_standard_errors or 0.0
        if value is not None:
            ends = place(value - error), place(value + error)
            rule += f'<path class="c0 bold" d="M{ends[0]},9H{ends[1]}"/>'
            rule += f'<circle class="c0" cx="{place(value)}" cy="9" r="4"/>'
        return Markup(
            f'<svg viewBox="0 0 200 18" class="interval" aria-hidden="true">{rule}</svg>'
        )

    return [drawn(effect) for effects in sweep.effects.values() for effect in effects]


def _part(name: str) -> Markup:
    return Markup((files("flowbench.report") / "page" / name).read_text(encoding="utf-8"))
