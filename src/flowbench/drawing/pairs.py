"""Samples beside rows of a table: every feature's distribution, and every pair of features."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from flowbench.drawing.style import DATA, MODEL, blank

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["distributions"]

SHOWN_FEATURES = 8
BINS = 39
FILLED = 0.92  # of the side of a cell
Array = NDArray[np.floating]


def distributions(
    rows: Array, samples: Array, names: Sequence[str], what: str = "rows"
) -> "Figure":
    """A square of cells: histograms on the diagonal, rows below it and samples above it.

    All cells share one pair of axes, where the cell of line i and column j has its lower left
    corner at (j, −i): the cost is that of the points, not of the cells. Rows with a missing cell
    are left out; of more than eight features the first eight are drawn.

    Args:
        rows: `[n, features]` in data units; if n is 0, the limits are those of the samples.
        samples: `[m, features]` in data units.
        names: of all features.
        what: the rows are, for the title.
    """
    title = _title(what if len(rows) else None, len(names))
    names = names[:SHOWN_FEATURES]
    count = len(names)
    rows = rows[~np.isnan(rows).any(axis=1)]
    known = rows if len(rows) else samples
    limits = np.array([_limits(known[:, index]) for index in range(count)]).T
    rows, samples = (_scaled(part[:, :count], limits) for part in (rows, samples))
    side = 1.2 + 1.35 * max(count, 2)
    figure = blank(side, side)
    left, below, above = (inches / figure.get_figwidth() for inches in (0.4, 0.4, 0.35))
    axis = figure.add_axes((left, below, 1 - left - 0.01, 1 - below - above))
    axis.set(xlim=(-0.02, count), ylim=(-count + 0.98, 1))
    for points, below_diagonal, color in ((rows, True, DATA), (samples, False, MODEL)):
        cells = [
            (line, column)
            for line in range(count)
            for column in range(count)
            if line != column and (line > column) == below_diagonal
        ]
        axis.plot(*_points(points, cells), "o", color=color, markersize=1.2, markeredgewidth=0)
    edges = np.linspace(0, FILLED, BINS + 1)
    for index in range(count):
        of_rows, of_samples = (_shares(part[:, index], edges) for part in (rows, samples))
        scale = FILLED / max(of_rows.max(), of_samples.max(), 1e-9) / 1.05
        place = {"edges": index + edges, "baseline": -index}
        axis.stairs(scale * of_rows - index, fill=True, color=DATA, alpha=0.5, **place)
        axis.stairs(scale * of_samples - index, color=MODEL, **place)
    axis.plot(*_corners(count), color="black", linewidth=0.8)
    centres = np.arange(count) + FILLED / 2
    axis.set_xticks(centres, names, fontsize=9)
    axis.set_yticks(FILLED / 2 - np.arange(count), names, fontsize=9, rotation=90, va="center")
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    figure.suptitle(title, fontsize=10 if count > 2 else 8, y=1 - above / 4)
    return figure


def _title(what: str | None, features: int) -> str:
    drawn = f"{what} (grey, below) and samples (blue, above)" if what else "samples (blue)"
    first = f", first {SHOWN_FEATURES} of {features} features" if features > SHOWN_FEATURES else ""
    return f"{drawn}, data units{first}"


def _limits(values: Array) -> tuple[float, float]:
    low, high = np.quantile(values[np.isfinite(values)], [0.005, 0.995])
    margin = 0.08 * (high - low) or 1.0
    return low - margin, high + margin


def _scaled(values: Array, limits: Array) -> Array:
    """Positions within a cell; NaN outside the limits."""
    low, high = limits
    inside = (low <= values) & (values <= high)
    return np.where(inside, FILLED * (values - low) / (high - low), np.nan)


def _points(values: Array, cells: Sequence[tuple[int, int]]) -> tuple[Array, Array]:
    """Coordinates of all points of some cells `(line, column)`, those with a NaN left out."""
    lines, columns = np.array(cells, int).reshape(-1, 2).T
    x, y = values[:, columns] + columns, values[:, lines] - lines
    seen = np.isfinite(x + y)
    return x[seen], y[seen]


def _shares(values: Array, edges: Array) -> Array:
    """Share of all values in each bin, those outside the limits counted."""
    counts, _ = np.histogram(values[np.isfinite(values)], edges)
    return counts / max(len(values), 1)


def _corners(count: int) -> tuple[Array, Array]:
    """The left and lower side of each cell, as one line with gaps."""
    line, column = (part.ravel()[:, None] * 1.0 for part in np.indices((count, count)))
    x = column + np.array([0, 0, FILLED, np.nan])
    y = np.array([FILLED, 0, 0, np.nan]) - line
    return x.ravel(), y.ravel()
