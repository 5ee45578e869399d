"""Runs that differ in nothing but the seed: their mean, their errors, the published neighbour."""

import json
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from flowbench.evaluation.score import Score
from flowbench.report.collect import RunRecord
from flowbench.report.table import differing_keys, flat, score_of

__all__ = ["Setting", "best_by_validation", "rankings", "settings_of", "shown"]

TOLD = ("data.label_context", "data.train_label", "data.window")
ALIKE = {"data.dequantize": {"once", "epoch"}}  # values with the same rows of validation and test


@dataclass(frozen=True, kw_only=True)
class Setting:
    """All seeds of one configuration.

    Attributes:
        data: name of the data set, with its labels and the options in which runs differ.
        model: name of the model.
        keys: the other keys in which settings of this data set and model differ.
        runs: one per seed.
        measure: of the log-likelihoods, see `RunRecord.measure`.
    """

    data: str
    model: str
    keys: dict[str, Any]
    runs: Sequence[RunRecord]
    measure: str = "lebesgue"

    @cached_property
    def finished(self) -> list[RunRecord]:
        """The runs that have a result."""
        return [run for run in self.runs if run.result]

    @property
    def ranking(self) -> str:
        """The name of the ranking in which it stands: its data set, and an unusual measure."""
        return self.data + ("" if self.measure == "lebesgue" else f", {self.measure} measure")

    @property
    def knows_lattice(self) -> bool:
        """Whether the model is told on which lattice the data lie."""
        return any(run.result.get("knows_lattice") for run in self.finished)

    @property
    def deviations(self) -> list[str]:
        """What its runs do otherwise than the protocol that they name."""
        return list(dict.fromkeys(told for run in self.finished for told in run.deviations))

    @property
    def decided_by_few(self) -> list[Score]:
        """Those test scores of which ten events make up most of the variance."""
        return [score for score in self.scores("test") if score.decided_by_few]

    @property
    def name(self) -> str:
        """The keys with their values, without their section; empty where there is but one."""
        named = {key.partition(".")[2] or key: value for key, value in self.keys.items()}
        return ", ".join(f"{name}={shown(value)}" for name, value in named.items())

    @property
    def status(self) -> str:
        """Finished, or what became of it instead."""
        return "finished" if self.finished else self.runs[0].status

    def mean(self, *path: str) -> float | None:
        """The mean over finished seeds of a number in `result.json`, named by its keys."""
        return _mean([_at(run.result, path) for run in self.finished])

    def scores(self, split: str) -> list[Score]:
        """Those of the finished runs, one per seed."""
        return [score for run in self.runs if (score := score_of(run, split))]

    def log_likelihood(self, split: str) -> float | None:
        """The mean over seeds of the mean log-likelihood, nats in model space."""
        return _mean([score.mean for score in self.scores(split)])

    @cached_property
    def two_standard_errors(self) -> float | None:
        """Of the mean over the test rows, as if one seed had scored them."""
        return _mean([score.two_standard_errors for score in self.scores("test")])

    @cached_property
    def sd_over_seeds(self) -> float | None:
        """Standard deviation of the test log-likelihood between seeds; None for a single one."""
        values = [score.mean for score in self.scores("test")]
        return statistics.stdev(values) if len(values) > 1 else None

    @cached_property
    def published(self) -> dict[str, Any] | None:
        """The published result that the configuration names."""
        return next(filter(None, (run.result.get("published") for run in self.finished)), None)

    @cached_property
    def difference(self) -> float | None:
        """Ours minus the published one."""
        ours = self.log_likelihood("test")
        return None if ours is None or not self.published else ours - self.published["mean"]

    @cached_property
    def combined_error(self) -> float | None:
        r"""Of the difference: √(e² + p² + (2 sd/√n)²), over n seeds.

        e and p are two standard errors over test rows, ours and the published, 0 if unknown.
        """
        if self.published is None or self.two_standard_errors is None:
            return None
        over_seeds = 2 * (self.sd_over_seeds or 0.0) / math.sqrt(len(self.finished))
        theirs = self.published["two_standard_errors"] or 0.0
        return math.hypot(self.two_standard_errors, theirs, over_seeds)

    @property
    def verdict(self) -> Literal["within error", "above", "below"] | None:
        """Where ours lies, seen from the published one."""
        if self.difference is None or self.combined_error is None:
            return None
        if abs(self.difference) <= self.combined_error:
            return "within error"
        return "above" if self.difference > 0 else "below"


def settings_of(runs: Sequence[RunRecord]) -> list[Setting]:
    """Runs grouped into settings; by data set and, within it, from the best test result down."""
    settings = []
    for data_runs in _grouped(runs, "data").values():
        differing = [key for key in differing_keys(data_runs) if _is_of_data(key, data_runs)]
        data_keys = dict.fromkeys([*TOLD, *differing])
        for model_runs in _grouped(data_runs, "model").values():
            keys = [key for key in differing_keys(model_runs) if not _is_of_data(key, data_runs)]
            for members in _grouped(model_runs, "hash").values():
                values = next((flat(run.config) for run in members if run.config), {})
                options = [_option(key, values.get(key)) for key in data_keys]
                label = ", ".join(filter(None, options))
                settings.append(
                    Setting(
                        data=data_runs[0].data + (f" ({label})" if label else ""),
                        model=members[0].model,
                        keys={key: values[key] for key in keys if key in values},
                        runs=members,
                        measure=_measure(members, model_runs, data_runs),
                    )
                )
    return sorted(settings, key=_rank)


def _is_of_data(key: str, runs: Sequence[RunRecord]) -> bool:
    """Whether runs on one data set that differ in a key are scored on other rows."""
    values = {flat(run.config).get(key) for run in runs if run.config and key in ALIKE}
    return key.startswith("data.") and not (values and values <= ALIKE[key])


def rankings(settings: Sequence[Setting]) -> dict[str, list[Setting]]:
    """Settings whose scores may be compared: on the same data, with respect to one measure."""
    groups: dict[str, list[Setting]] = {}
    for setting in settings:
        groups.setdefault(setting.ranking, []).append(setting)
    return groups


def best_by_validation(settings: Sequence[Setting]) -> Setting | None:
    """The setting to stand for its data set and model, chosen without a look at test rows."""
    known = [(setting.log_likelihood("val"), setting) for setting in settings if setting.finished]
    return max(known, key=lambda pair: pair[0] or 0.0, default=(None, None))[1]


def _measure(*groups: Sequence[RunRecord]) -> str:
    """That of a setting; if it has no result, that of its model or else of others on its data."""
    for group in groups:
        if known := [run.measure for run in group if run.result]:
            return statistics.mode(known)
    return groups[0][0].measure


def _rank(setting: Setting) -> tuple[str, float, str, str]:
    value = setting.log_likelihood("test")
    return setting.ranking, math.inf if value is None else -value, setting.model, setting.name


def _grouped(runs: Sequence[RunRecord], attribute: str) -> dict[str, list[RunRecord]]:
    groups: dict[str, list[RunRecord]] = {}
    for run in runs:
        groups.setdefault(getattr(run, attribute), []).append(run)
    return groups


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known else None


def _at(value: Any, path: Sequence[str]) -> Any:
    for key in path:
        value = None if value is None else value.get(key)
    return value


def _option(key: str, value: object) -> str:
    """An option of a data set in its label; nothing where it is off."""
    name = key.removeprefix("data.")
    if value is None or value is False:
        return ""
    return name if value is True else f"{name}={shown(value)}"


def shown(value: object) -> str:
    """A value of an option as text."""
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    return f"{value:.4g}" if isinstance(value, float) else str(value)
