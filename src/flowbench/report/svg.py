"""Line charts as static SVG: a few kilobytes, printable, coloured by the page's style sheet."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from markupsafe import Markup, escape
from numpy.typing import ArrayLike, NDArray

__all__ = ["COLORS", "OTHER", "Chart", "Line", "curve_range", "thinned"]

COLORS = 8  # of the classes c0, c1, … in the style sheet
OTHER = "other"
WIDTH, HEIGHT = 560, 320
LEFT, RIGHT, TOP, BOTTOM = 76, 12, 10, 44
POINTS = 1200  # of a chart, about
MOST, LEAST = 80, 12  # of a line
TOLD = 12
HUGE = 1e100

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Line:
    """A line of a chart.

    Attributes:
        name: in the legend, once per name.
        x: of the points, `[n]`.
        y: of the points, `[n]`; gaps where they are not finite.
        style: classes of the style sheet: a colour `c0` to `c7` or `OTHER`, `dotted`, `bold`.
        title: what a pointer over the line is told; empty: the name.
    """

    name: str
    x: ArrayLike
    y: ArrayLike
    style: str = "c0"
    title: str = ""

    @property
    def points(self) -> tuple[Floats, Floats]:
        """Those that can be drawn."""
        x, y = np.asarray(self.x, np.float64), np.asarray(self.y, np.float64)
        known = (np.abs(x) < HUGE) & (np.abs(y) < HUGE)
        return x[known], y[known]


@dataclass(frozen=True, kw_only=True)
class Chart:
    """Lines over a common horizontal axis.

    Attributes:
        title: what is drawn.
        x: name of the horizontal axis, which counts something.
        y: name and unit of the vertical axis.
        lines: the last in front.
        range: of the vertical axis; None: of all points.
        note: what a reader has to know beside the legend, e.g. what is left out.
    """

    title: str
    x: str
    y: str
    lines: Sequence[Line]
    range: tuple[float, float] | None = None
    note: str = ""
    legend: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        """Name → style of its first line."""
        styles = {line.name: line.style for line in reversed(self.lines)}
        names = dict.fromkeys(line.name for line in self.lines)
        object.__setattr__(self, "legend", {name: styles[name] for name in names})

    @property
    def description(self) -> str:
        """The chart in words: its axes, and where each line ends.

        Example:
            >>> line = Line(name="maf", x=[0, 1], y=[-5.0, -4.25])
            >>> Chart(title="toy", x="epoch", y="nats", lines=[line]).description
            'nats by epoch. Last values: maf −4.25.'
        """
        ends = {line.name: y[-1] for line in self.lines if len(y := line.points[1])}
        told = [f"{name} {_number(end)}" for name, end in list(ends.items())[:TOLD]]
        more = f" and {len(ends) - TOLD} others" if len(ends) > TOLD else ""
        return f"{self.y} by {self.x}. Last values: {', '.join(told)}{more}."

    def svg(self) -> Markup:
        """The drawing, without title and legend, which the page has as text."""
        drawn = [(line, *line.points) for line in self.lines]
        x_low, x_high = _spread([x for _, x, _ in drawn])
        low, high = self.range or _spread([y for _, _, y in drawn], margin=0.05)
        across = _Scale(x_low, x_high, LEFT, WIDTH - RIGHT)
        up = _Scale(low, high, HEIGHT - BOTTOM, TOP)
        most = max(LEAST, min(MOST, POINTS // max(1, len(drawn))))
        lines = (_polyline(line, across(x), up(y), most) for line, x, y in drawn if len(x))
        parts = [*_horizontal(self.x, across), *_vertical(self.y, up), *_clipped(lines)]
        return Markup(
            f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img"><title>{escape(self.title)}</title>'
            f"<desc>{escape(self.description)}</desc>{''.join(parts)}</svg>"
        )


@dataclass(frozen=True)
class _Scale:
    """From values to pixels."""

    low: float
    high: float
    first: float
    last: float

    def __call__(self, value: ArrayLike) -> Floats:
        share = (np.asarray(value, np.float64) - self.low) / (self.high - self.low)
        return self.first + np.clip(share, -1, 2) * (self.last - self.first)

    def ticks(self, count: int, *, least: float = 0.0) -> list[float]:
        """About so many round numbers from low to high, at least so far from each other."""
        raw = max((self.high - self.low) / count, least)
        power = 10.0 ** math.floor(math.log10(raw))
        step = next(power * round_ for round_ in (1, 2, 5, 10) if power * round_ >= raw * 0.999)
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [index * step for index in range(first, last + 1)]


def curve_range(curves: Sequence[ArrayLike]) -> tuple[float, float] | None:
    """All values, or all but the lowest tenth where that lies far below the others.

    Example:
        >>> curve_range([[-1e6, *[0.0] * 10, 1.0]])
        (-0.06, 1.06)
    """
    values = np.concatenate([np.asarray(curve, np.float64) for curve in curves] or [np.empty(0)])
    values = values[np.abs(values) < HUGE]
    if not len(values):
        return None
    lowest, low, high = (float(np.quantile(values, share)) for share in (0, 0.1, 1))
    low = low if low - lowest > 2 * (high - low) else lowest
    margin = 0.06 * (high - low) or 0.5
    return low - margin, high + margin


def thinned(y: Floats, most: int = MOST) -> NDArray[np.intp]:
    """The places of about so many points that show a curve: both ends, lowest and highest between.

    Example:
        >>> thinned(np.array([0.0, 1.0, 9.0, 1.0, 0.0, -9.0, 0.0, 0.0]), most=4).tolist()
        [0, 2, 5, 7]
    """
    if len(y) <= most:
        return np.arange(len(y))
    ends = np.array([0, len(y) - 1])
    spans = np.array_split(np.arange(len(y)), max(1, (most - 2) // 2))
    extremes = [span[pick(y[span])] for span in spans for pick in (np.argmin, np.argmax)]
    return np.unique([*ends, *extremes])


def _polyline(line: Line, x: Floats, y: Floats, most: int) -> str:
    kept = thinned(y, most)
    points = " ".join(f"{a:.4g},{b:.4g}" for a, b in zip(x[kept], y[kept], strict=True))
    title = f"<title>{escape(line.title or line.name)}</title>"
    if len(kept) == 1:
        return (
            f'<circle class="{line.style}" cx="{x[0]:.4g}" cy="{y[0]:.4g}" r="3">{title}</circle>'
        )
    return f'<polyline class="{line.style}" points="{points}">{title}</polyline>'


def _clipped(lines: Iterator[str]) -> Iterator[str]:
    """What lies outside of the frame is not shown: an inner drawing cuts it off."""
    box = f'x="{LEFT}" y="{TOP}" width="{WIDTH - LEFT - RIGHT}" height="{HEIGHT - TOP - BOTTOM}"'
    inner = f"{LEFT} {TOP} {WIDTH - LEFT - RIGHT} {HEIGHT - TOP - BOTTOM}"
    yield f'<svg {box} viewBox="{inner}" class="lines">'
    yield from lines
    yield "</svg>"


def _horizontal(name: str, scale: _Scale) -> Iterator[str]:
    bottom = HEIGHT - BOTTOM
    yield f'<path class="axis" d="M{LEFT},{bottom}H{WIDTH - RIGHT}"/>'
    for tick in scale.ticks(7, least=1):
        x = float(scale(tick))
        yield f'<path class="axis" d="M{x:.4g},{bottom}v4"/>'
        yield f'<text x="{x:.4g}" y="{bottom + 17}" text-anchor="middle">{_number(tick)}</text>'
    middle = (LEFT + WIDTH - RIGHT) / 2
    yield f'<text x="{middle}" y="{HEIGHT - 8}" text-anchor="middle">{escape(name)}</text>'


def _vertical(name: str, scale: _Scale) -> Iterator[str]:
    for tick in scale.ticks(5):
        y = float(scale(tick))
        yield f'<path class="grid" d="M{LEFT},{y:.4g}H{WIDTH - RIGHT}"/>'
        yield f'<text x="{LEFT - 6}" y="{y + 4:.4g}" text-anchor="end">{_number(tick)}</text>'
    middle = (TOP + HEIGHT - BOTTOM) / 2
    turned = f'transform="translate(14,{middle}) rotate(-90)" text-anchor="middle"'
    yield f"<text {turned}>{escape(name)}</text>"


def _spread(values: Sequence[Floats], *, margin: float = 0.0) -> tuple[float, float]:
    known = np.concatenate([*values, np.empty(0)])
    if not len(known):
        return 0.0, 1.0
    low, high = float(known.min()), float(known.max())
    room = margin * (high - low) if high > low else 0.5 * max(1.0, abs(low))
    return low - room, high + room


def _number(value: float) -> str:
    """A number on an axis.

    Example:
        >>> _number(0.30000000000000004), _number(-1500.0), _number(2e7)
        ('0.3', '−1,500', '2e+07')
    """
    text = f"{value:,.6g}" if abs(value) < 1e6 else f"{value:.3g}"
    return text.replace("-", "−") if "e" not in text else text
