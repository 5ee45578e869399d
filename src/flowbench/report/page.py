"""The report as one HTML page that needs nothing from outside itself."""

import base64
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from plotly.graph_objects import Figure
from plotly.offline import get_plotlyjs

from flowbench import formatting
from flowbench.evaluation.text import describe
from flowbench.report.charts import learning_curves, sweeps
from flowbench.report.collect import RunRecord
from flowbench.report.overview import overview
from flowbench.report.recorded import recorded_curves
from flowbench.report.settings import Setting
from flowbench.report.table import score_of
from flowbench.run.records import read_picture

__all__ = ["render_page"]

STATUSES = ("finished", "unfinished", "pruned", "failed")


def render_page(
    runs: Sequence[RunRecord],
    settings: Sequence[Setting],
    *,
    title: str,
    unreadable: Mapping[Path, str] | None = None,
) -> str:
    """The whole page.

    Args:
        runs: as `collect` gives them.
        settings: as `settings_of` groups them.
        title: what they are called together, e.g. the name of the tree.
        unreadable: run folder → why it cannot be read.
    """
    environment = Environment(
        loader=PackageLoader("flowbench.report", "page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"embedded": _embedded, "words": lambda name: name.replace("_", " ")}
    counts = {status: sum(run.status == status for run in runs) for status in STATUSES}
    curves, swept = _charts(learning_curves(settings)), _charts(sweeps(settings))
    recorded = _charts(recorded_curves(settings))
    return environment.get_template("page.html").render(
        title=title,
        counts={status: count for status, count in counts.items() if count},
        runs=runs,
        settings=settings,
        unreadable=unreadable or {},
        overview=overview(settings),
        any_published=any(setting.published for setting in settings),
        any_pictures=any(setting.mean("test", "bits_per_dim") for setting in settings),
        curves=curves,
        sweeps=swept,
        recorded=recorded,
        n=formatting,
        describe=describe,
        score=score_of,
        css=_part("page.css"),
        js=_part("page.js"),
        plotly=Markup(get_plotlyjs()) if curves or swept or recorded else "",
    )


def _charts(charts: Iterable[tuple[str, Figure]]) -> list[tuple[str, Markup]]:
    """Titles and charts as JSON, which cannot end the element that it stands in."""
    plain = ((title, str(chart.to_json())) for title, chart in charts)
    return [(title, Markup(text.replace("<", "\\u003c"))) for title, text in plain]


def _part(name: str) -> Markup:
    return Markup((files("flowbench.report") / "page" / name).read_text(encoding="utf-8"))


def _embedded(path: Path) -> str:
    return f"data:image/png;base64,{base64.b64encode(read_picture(path)).decode()}"
