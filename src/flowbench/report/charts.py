"""Interactive charts: learning curves by data set, and sweeps over the keys that vary."""

import itertools
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import plotly.graph_objects as go

from flowbench.formatting import rounded
from flowbench.report.settings import Setting

__all__ = ["AXIS", "COLORS", "curve_range", "learning_curves", "new_figure", "sweeps"]

COLORS = ("#3b78c3", "#d9822b", "#3f9d6b", "#b4547c", "#7d68b8", "#8c7353", "#4aa3b5", "#a3a13a")
SCALE = [[0.0, "#eef3fa"], [0.5, "#86aedb"], [1.0, "#1f4e8c"]]
AXIS = {"zeroline": False, "ticks": "outside", "automargin": True}
UNIT = "validation log-likelihood (nats per row)"
SWEPT = 4
HEAT_MAP_KEYS = 3


def learning_curves(settings: Sequence[Setting]) -> Iterator[tuple[str, go.Figure]]:
    """One chart per data set: validation log-likelihood by epoch, one line per run."""
    models = sorted({setting.model for setting in settings})
    colors = dict(zip(models, itertools.cycle(COLORS), strict=False))
    for data, members in itertools.groupby(settings, key=lambda setting: setting.data):
        chart = _curves(list(members), colors)
        if chart.data:
            yield data, chart


def _curves(settings: Sequence[Setting], colors: Mapping[str, str]) -> go.Figure:
    figure = new_figure(height=320)
    shown: set[str] = set()
    seen: list[np.ndarray] = []
    for setting, run in ((s, run) for s in settings for run in s.runs):
        if run.history.empty:
            continue
        values = run.history["val/log_likelihood"].to_numpy()
        seen.append(values)
        title = " · ".join(filter(None, [setting.model, setting.name, f"seed {run.seed}"]))
        figure.add_scatter(
            x=run.history["epoch"].tolist(),
            y=values.tolist(),
            mode="lines+markers" if len(values) < 15 else "lines",
            marker={"size": 4},
            line={"color": colors[setting.model], "width": 1.5},
            name=setting.model,
            legendgroup=setting.model,
            showlegend=setting.model not in shown,
            hovertemplate=f"{title}<br>epoch %{{x}}: %{{y:.4f}}<extra></extra>",
        )
        shown.add(setting.model)
    longest = max(map(len, seen), default=0)
    figure.update_layout(
        xaxis={**AXIS, "title": "epoch", "dtick": 1 if longest < 12 else None},
        yaxis={**AXIS, "title": UNIT, "range": curve_range(seen)},
    )
    return figure


def sweeps(settings: Sequence[Setting]) -> Iterator[tuple[str, go.Figure]]:
    """One chart per data set and model with at least four settings.

    A heat map where up to three keys span a grid that is mostly filled, else parallel coordinates.
    """
    for (data, model), group in itertools.groupby(
        sorted(settings, key=lambda setting: (setting.data, setting.model)),
        key=lambda setting: (setting.data, setting.model),
    ):
        members = list(group)
        keys = list(dict.fromkeys(key for setting in members for key in setting.keys))
        if len(members) < SWEPT or not keys:
            continue
        levels = {key: _levels(members, key) for key in keys}
        cells = int(np.prod([len(values) for values in levels.values()]))
        is_grid = len(keys) <= HEAT_MAP_KEYS and cells <= 2 * len(members)
        draw = _heat_map if is_grid else _parallel
        yield f"{model} on {data}", draw(members, levels)


def _heat_map(settings: Sequence[Setting], levels: dict[str, list[str]]) -> go.Figure:
    down = max(levels, key=lambda key: len(levels[key]))
    across = [key for key in levels if key != down]
    columns = list(itertools.product(*(levels[key] for key in across)))
    values = np.full((len(levels[down]), len(columns)), np.nan)
    texts = np.full(values.shape, "missing", dtype=object)
    for setting in settings:
        column = columns.index(tuple(_text(setting, key) for key in across))
        place = levels[down].index(_text(setting, down)), column
        value = setting.log_likelihood("val")
        values[place] = np.nan if value is None else value
        texts[place] = setting.status if value is None else rounded(value, 0.01)
    names = ["<br>".join(column) for column in columns]
    figure = new_figure(height=110 + 44 * len(levels[down]) + 18 * len(across))
    known = values[np.isfinite(values)]
    bare = {**AXIS, "ticks": "", "showgrid": False, "type": "category"}
    figure.add_heatmap(
        x=names,
        y=levels[down],
        z=[[None if np.isnan(v) else float(v) for v in row] for row in values],
        text=texts.tolist(),
        texttemplate="%{text}",
        hovertemplate="%{y}<br>%{x}<br>%{text}<extra></extra>",
        hoverongaps=False,
        colorscale=SCALE,
        zmin=float(np.quantile(known, 0.1)) if len(known) else None,
        xgap=3,
        ygap=3,
        showscale=False,
    )
    figure.update_layout(
        margin={"b": 8},
        xaxis={**bare, "side": "top", "tickangle": 0, "title": ", ".join(map(_short, across))},
        yaxis={**bare, "autorange": "reversed", "title": _short(down)},
    )
    return figure


def _parallel(settings: Sequence[Setting], levels: dict[str, list[str]]) -> go.Figure:
    """One line per finished setting, the better the darker; the last axis is the result."""
    known = [(setting.log_likelihood("val"), setting) for setting in settings]
    ranked = sorted(((v, s) for v, s in known if v is not None), key=lambda pair: pair[0])
    results = np.array([value for value, _ in ranked])
    bottom, top = curve_range([results]) or [0.0, 1.0]
    figure = new_figure(height=420)
    for rank, (result, setting) in enumerate(ranked):
        shade = rank / max(1, len(ranked) - 1)
        heights = [_height(levels[key], _text(setting, key)) for key in levels]
        figure.add_scatter(
            x=list(range(len(levels) + 1)),
            y=[*heights, max(0.0, (result - bottom) / (top - bottom))],
            mode="lines",
            line={"width": 1.2 + 1.3 * shade, "color": _shade(shade)},
            name=setting.name,
            showlegend=False,
            hovertemplate=f"{setting.name}<br>{rounded(result, 0.01)}<extra></extra>",
        )
    for index, values in enumerate(levels.values()):
        for value in values:
            _label(figure, value, x=index, y=_height(values, value))
    for share in (0.0, 0.5, 1.0):
        value = bottom + share * (top - bottom)
        _label(figure, rounded(value, (top - bottom) / 10), x=len(levels), y=share)
    names = [*map(_short, levels), "log-likelihood"]
    ticks = {"tickvals": list(range(len(names))), "ticktext": names, "side": "top"}
    figure.update_layout(
        margin={"l": 30, "t": 40, "b": 12},
        xaxis={**AXIS, **ticks, "ticks": "", "range": [-0.15, len(levels) + 0.4]},
        yaxis={"visible": False, "range": [-0.06, 1.06]},
    )
    return figure


def _label(figure: go.Figure, text: str, *, x: float, y: float) -> None:
    figure.add_annotation(x=x, y=y, text=text, showarrow=False, xshift=5, xanchor="left")


def new_figure(*, height: int) -> go.Figure:
    """Without a ground of its own, so that it fits a light and a dark page."""
    figure = go.Figure(layout={"template": None})  # pyright: ignore[reportArgumentType]
    figure.update_layout(
        height=height,
        margin={"l": 64, "r": 16, "t": 16, "b": 44},
        font={"family": "system-ui, sans-serif", "size": 12},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        hovermode="closest",
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
    )
    return figure


def curve_range(curves: Sequence[np.ndarray]) -> list[float] | None:
    """All values, or all but the lowest tenth where that lies far below the others."""
    if not curves:
        return None
    values = np.concatenate(curves)
    values = values[np.isfinite(values)]
    if not len(values):
        return None
    lowest, low, high = (float(np.quantile(values, share)) for share in (0, 0.1, 1))
    low = low if low - lowest > 2 * (high - low) else lowest
    margin = 0.06 * (high - low) or 0.5
    return [low - margin, high + margin]


def _levels(settings: Sequence[Setting], key: str) -> list[str]:
    """The values of a key, numbers by size."""
    values = {_text(setting, key) for setting in settings}

    def rank(text: str) -> tuple[bool, float, str]:
        try:
            return False, float(text), text
        except ValueError:
            return True, 0.0, text

    return sorted(values, key=rank)


def _text(setting: Setting, key: str) -> str:
    value = setting.keys.get(key, "—")
    return str(value).lower() if isinstance(value, bool) else str(value)


def _height(levels: Sequence[str], level: str) -> float:
    return levels.index(level) / max(1, len(levels) - 1)


def _shade(share: float) -> str:
    light, dark = np.array([176, 196, 222]), np.array([31, 88, 160])
    red, green, blue = (light + share * (dark - light)).round().astype(int)
    return f"rgb({red},{green},{blue})"


def _short(key: str) -> str:
    return key.partition(".")[2] or key
