"""Training and validation log-likelihood by epoch."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from flowbench.figures.style import DATA, MODEL, blank, panels, save

__all__ = ["draw_learning_curve"]


def draw_learning_curve(history: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draw the mean log-likelihoods of all epochs.

    Args:
        history: the rows of `metrics.csv`.
        path: of the picture.
    """
    figure = blank(4.6, 3.6)
    [axis] = panels(figure, 1, 1)
    epochs = [row["epoch"] for row in history]
    for split, color in (("train", DATA), ("val", MODEL)):
        if (name := f"{split}/log_likelihood") not in history[0]:
            continue  # a module of the user's own may train by another loss
        values = [row[name] for row in history]
        axis.plot(epochs, values, color=color, label=split, marker="." if len(epochs) < 30 else "")
    axis.set(xlabel="epoch", ylabel="mean log-likelihood (nats per row)")
    axis.xaxis.get_major_locator().set_params(integer=True)
    axis.legend(frameon=False)
    save(figure, path)
