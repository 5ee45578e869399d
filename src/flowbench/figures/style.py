"""The look of all figures; matplotlib is imported when the first is drawn."""

from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["DATA", "MODEL", "blank", "panels", "save"]

DATA = "#8a8f98"
MODEL = "#2f6db5"


def blank(width: float, height: float) -> "Figure":
    """A figure without panels, its sizes in inches."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def panels(figure: "Figure", lines: int, columns: int) -> list[Any]:
    """Axes line by line, without frames above and to the right."""
    return [
        _plain(figure.add_subplot(lines, columns, place + 1)) for place in range(lines * columns)
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
    figure.savefig(drawn := BytesIO(), dpi=120)
    Image.open(drawn).convert("RGB").quantize(128, dither=Image.Dither.NONE).save(path)
