"""The look of all figures; matplotlib is imported when the first is drawn."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["DATA", "MODEL", "blank", "panels", "save"]

DATA = "#8a8f98"
MODEL = "#2f6db5"
# Inches that the numbers, labels and title of a panel need. A layout found by measuring all texts
# would draw every figure twice.
LEFT, RIGHT, BELOW, ABOVE = 0.85, 0.15, 0.5, 0.35


def blank(width: float, height: float) -> "Figure":
    """A figure without panels, its sizes in inches."""
    from flowbench.drawing.shown import ShownFigure

    return ShownFigure(width, height)


def panels(figure: "Figure", lines: int, columns: int) -> list[Any]:
    """Axes line by line, of equal sizes, without frames above and to the right."""
    whole_width, whole_height = figure.get_size_inches()
    width, height = whole_width / columns, whole_height / lines
    return [
        _plain(
            figure.add_axes(
                (
                    (column * width + LEFT) / whole_width,
                    1 - ((line + 1) * height - BELOW) / whole_height,
                    (width - LEFT - RIGHT) / whole_width,
                    (height - BELOW - ABOVE) / whole_height,
                )
            )
        )
        for line in range(lines)
        for column in range(columns)
    ]


def _plain(axis: Any) -> Any:
    axis.spines[["top", "right"]].set_visible(False)
    axis.tick_params(labelsize=8)
    axis.xaxis.label.set_size(9)
    axis.yaxis.label.set_size(9)
    axis.title.set_size(10)
    return axis


def save(figure: "Figure", path: Path) -> None:
    """Write a figure in 128 colours, a third of the size of all; its folder is made."""
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    canvas: Any = figure.canvas
    canvas.draw()
    drawn = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    drawn.quantize(128, dither=Image.Dither.NONE).save(path)
