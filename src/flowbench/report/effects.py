"""What each option of a sweep does, in pairs of runs that differ in this option alone."""

import itertools
import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from flowbench.report.collect import RunRecord
from flowbench.report.settings import Setting, rankings, shown
from flowbench.report.table import score_of

__all__ = ["Effect", "Statistic", "Sweep", "sweeps"]

RUNS = 4  # of a sweep, at least
Statistic = Literal["mean", "median"]


@dataclass(frozen=True, kw_only=True)
class Effect:
    """One value of an option, held against the reference value.

    Attributes:
        level: the value, as text.
        is_reference: whether it is the one that others are held against.
        difference: mean over pairs of the validation log-likelihood (its mean or median over the
            rows, see `Sweep`) less that of the reference.
        two_standard_errors: of the mean over pairs; None of fewer than two.
        pairs: pairs of runs that differ in this option alone.
        finished: runs with this value that have a result.
        failed: runs with this value that have failed.
    """

    level: str
    is_reference: bool
    difference: float | None
    two_standard_errors: float | None
    pairs: int
    finished: int
    failed: int


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """The effects of all swept options of one model on one data set.

    Attributes:
        title: model and data set.
        effects: option → its values, the reference first.
        statistic: of the validation rows: the mean, or the median where the mean of a run lies
            below its 1 % quantile, as few rows of which the density has run away would hide all
            else.
        running_away: how many runs have such a mean.
    """

    title: str
    effects: dict[str, list[Effect]]
    statistic: Statistic = "mean"
    running_away: int = 0

    @property
    def reach(self) -> tuple[float, float]:
        """The ends of all intervals, 0 included."""
        ends = [0.0]
        for effect in itertools.chain(*self.effects.values()):
            if effect.difference is not None:
                error = effect.two_standard_errors or 0.0
                ends += [effect.difference - error, effect.difference + error]
        return min(ends), max(ends)


def sweeps(settings: Sequence[Setting]) -> Iterator[Sweep]:
    """One per ranking and model with at least four runs, some of which differ in one option."""
    for members in rankings(settings).values():
        for model in dict.fromkeys(setting.model for setting in members):
            swept = [setting for setting in members if setting.model == model]
            keys = list(dict.fromkeys(key for setting in swept for key in setting.keys))
            if sum(len(setting.runs) for setting in swept) < RUNS:
                continue
            scores = [score for one in swept for score in one.scores("val")]
            away = sum(score.runs_away for score in scores)
            known = all(score.median is not None for score in scores)
            statistic: Statistic = "median" if away and known else "mean"
            found = {key: _effects(swept, key, statistic) for key in keys}
            if effects := {key: levels for key, levels in found.items() if len(levels) > 1}:
                title = f"{model} on {members[0].ranking}"
                yield Sweep(title=title, effects=effects, statistic=statistic, running_away=away)


def _effects(settings: Sequence[Setting], key: str, statistic: Statistic) -> list[Effect]:
    """The values of one option that have pairs or failures, held against the reference.

    The reference is the value with most results.
    """
    runs: dict[str, list[RunRecord]] = {}
    results: dict[str, dict[Any, float]] = {}
    for setting in settings:
        level = shown(setting.keys[key]) if key in setting.keys else "—"
        others = tuple((k, shown(v)) for k, v in setting.keys.items() if k != key)
        for run in setting.runs:
            runs.setdefault(level, []).append(run)
            if score := score_of(run, "val"):
                value: float = getattr(score, statistic)
                results.setdefault(level, {})[others, run.seed] = value
    levels = sorted(runs, key=_by_size)
    reference = max(levels, key=lambda level: len(results.get(level, ())))
    levels.sort(key=lambda level: level != reference)
    effects = [
        _effect(level, runs[level], results.get(level, {}), results.get(reference, {}),
                is_reference=level == reference)
        for level in levels
    ]  # fmt: skip
    return [one for one in effects if one.is_reference or one.pairs or one.failed]


def _effect(
    level: str,
    runs: Sequence[RunRecord],
    ours: dict[Any, float],
    theirs: dict[Any, float],
    *,
    is_reference: bool,
) -> Effect:
    pairs = [ours[place] - theirs[place] for place in ours if place in theirs]
    pairs = [] if is_reference else pairs
    spread = statistics.stdev(pairs) if len(pairs) > 1 else None
    return Effect(
        level=level,
        is_reference=is_reference,
        difference=statistics.fmean(pairs) if pairs else None,
        two_standard_errors=None if spread is None else 2 * spread / math.sqrt(len(pairs)),
        pairs=len(pairs),
        finished=len(ours),
        failed=sum(run.status == "failed" for run in runs),
    )


def _by_size(text: str) -> tuple[bool, float, str]:
    """Numbers by size, then words."""
    try:
        return False, float(text), text
    except ValueError:
        return True, 0.0, text
