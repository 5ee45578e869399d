"""Training and validation log-likelihood by epoch."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from flowbench.drawing.style import DATA, MODEL, blank, panels
from flowbench.metrics import VALIDATION

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["best_epoch", "learning_curve"]


def learning_curve(history: Sequence[Mapping[str, Any]]) -> "Figure":
    """The mean log-likelihoods of all epochs.

    Args:
        history: the rows of `metrics.csv`.
    """
    figure = blank(4.6, 3.6)
    [axis] = panels(figure, 1, 1)
    epochs = [row["epoch"] for row in history]
    for split, color in (("train", DATA), ("val", MODEL)):
        if (name := f"{split}/log_likelihood") not in history[0]:
            continue  # a module of the user's own may train by another loss
        values = [_number(row.get(name)) for row in history]
        axis.plot(epochs, values, color=color, label=split, marker="." if len(epochs) < 30 else "")
    axis.set(xlabel="epoch", ylabel="mean log-likelihood (nats per row)")
    axis.xaxis.get_major_locator().set_params(integer=True)
    axis.legend(frameon=False)
    return figure


def best_epoch(history: Sequence[Mapping[str, Any]]) -> tuple[int, float] | None:
    """The epoch of the highest validation log-likelihood, and that; None if no epoch has any.

    Example:
        >>> rows = [{"epoch": 0, "val/log_likelihood": -2}, {"epoch": 1, "val/log_likelihood": -1}]
        >>> best_epoch(rows)
        (1, -1)
    """
    scores = [(row["epoch"], _number(row.get(VALIDATION))) for row in history]
    known = [(epoch, score) for epoch, score in scores if not math.isnan(score)]
    return max(known, key=lambda one: one[1], default=None)


def _number(value: object) -> float:
    return value if isinstance(value, int | float) else math.nan
