"""The look of all figures."""

from io import BytesIO
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

__all__ = ["DATA", "MODEL", "new_figure", "plain", "save"]

DATA = "#8a8f98"
MODEL = "#2f6db5"


def new_figure(panels: int) -> tuple[Figure, list[Any]]:
    """Panels side by side, without frames above and to the right."""
    figure = Figure(figsize=(0.6 + 4 * panels, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, [plain(figure.add_subplot(1, panels, one + 1)) for one in range(panels)]


def plain(axis: Any) -> Any:
    """The axis, with what is not needed taken away."""
    axis.spines[["top", "right"]].set_visible(False)
    axis.tick_params(labelsize=8)
    axis.xaxis.label.set_size(9)
    axis.yaxis.label.set_size(9)
    axis.title.set_size(10)
    return axis


def save(figure: Figure, path: Path) -> None:
    """Write a figure in 128 colours, a third of the size of all; its folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(drawn := BytesIO(), dpi=120)
    Image.open(drawn).convert("RGB").quantize(128, dither=Image.Dither.NONE).save(path)
