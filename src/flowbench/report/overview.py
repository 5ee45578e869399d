"""Models by data sets at a glance, as papers print it."""

from collections.abc import Sequence
from dataclasses import dataclass

from flowbench.report.settings import Setting, best_by_validation

__all__ = ["Cell", "overview"]


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One model on one data set.

    Attributes:
        setting: the one that stands for the cell; None where there is none that is finished.
        status: "finished", what became of the runs instead, or "missing".
        is_best: whether no other model is better on this data set.
    """

    setting: Setting | None
    status: str
    is_best: bool


def overview(settings: Sequence[Setting]) -> dict[str, dict[str, Cell]]:
    """Model → ranking → cell; of several settings the best on validation rows stands there."""
    models = sorted({setting.model for setting in settings})
    data_sets = sorted({setting.ranking for setting in settings})
    groups: dict[tuple[str, str], list[Setting]] = {
        (model, data): [] for model in models for data in data_sets
    }
    for setting in settings:
        groups[setting.model, setting.ranking].append(setting)
    chosen = {place: best_by_validation(group) for place, group in groups.items()}
    highest = {
        data: max(
            (s.log_likelihood("test") or 0.0 for model in models if (s := chosen[model, data])),
            default=None,
        )
        for data in data_sets
    }
    return {
        model: {
            data: _cell(groups[model, data], chosen[model, data], highest[data])
            for data in data_sets
        }
        for model in models
    }


def _cell(group: Sequence[Setting], setting: Setting | None, highest: float | None) -> Cell:
    if setting is None:
        status = group[0].status if group else "missing"
        return Cell(setting=None, status=status, is_best=False)
    is_best = setting.log_likelihood("test") == highest
    return Cell(setting=setting, status="finished", is_best=is_best)
