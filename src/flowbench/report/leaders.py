"""Every setting held against the best one of its ranking, row by row where that is possible."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flowbench.report.settings import Setting, best_by_validation, rankings
from flowbench.run.records import RunFolderError, read_scores

__all__ = ["Behind", "behind_leaders"]

Scores = dict[str, list[NDArray[np.float64]]]


@dataclass(frozen=True, kw_only=True)
class Behind:
    """The difference of a setting to the leader of its ranking.

    Attributes:
        mean: test log-likelihood less the leader's, in nats per event; None for the leader.
        two_standard_errors: of the difference, over rows and seeds.
        unpaired: why it is the difference of two means; empty where it is of row-wise differences.
    """

    mean: float | None = None
    two_standard_errors: float | None = None
    unpaired: str = ""


def behind_leaders(settings: Sequence[Setting]) -> list[Behind | None]:
    """The difference of each setting to its leader; None where it has no result.

    The leader is the setting with the highest validation log-likelihood, so that no test row has
    a part in its choice; a setting may have a higher test log-likelihood.
    """
    found: dict[int, Behind] = {}
    for members in rankings(settings).values():
        leader = best_by_validation(members)
        if leader is None:
            continue
        known, problem = _scores(leader)
        for setting in members:
            if setting is leader:
                found[id(setting)] = Behind()
            elif setting.finished:
                found[id(setting)] = _behind(setting, leader, known, problem)
    return [found.get(id(setting)) for setting in settings]


def _behind(setting: Setting, leader: Setting, theirs: Scores, problem: str) -> Behind:
    over_seeds = math.hypot(_seeds_error(setting), _seeds_error(leader))
    ours, own_problem = _scores(setting)
    common = [rows for rows in ours if rows in theirs and _lengths(ours, theirs, rows) == 1]
    if not common:
        errors = (setting.two_standard_errors or 0.0, leader.two_standard_errors or 0.0)
        mean = (setting.log_likelihood("test") or 0.0) - (leader.log_likelihood("test") or 0.0)
        reason = own_problem or problem or "other test rows"
        error = math.hypot(*errors, over_seeds)
        return Behind(mean=mean, two_standard_errors=error, unpaired=reason)
    pairs = [np.mean(ours[rows], axis=0) - np.mean(theirs[rows], axis=0) for rows in common]
    difference = np.concatenate(pairs)
    over_rows = 2 * difference.std(ddof=min(1, len(difference) - 1)) / math.sqrt(len(difference))
    error = math.hypot(over_rows, over_seeds)
    return Behind(mean=float(difference.mean()), two_standard_errors=error)


def _lengths(ours: Scores, theirs: Scores, rows: str) -> int:
    return len({len(scores) for scores in ours[rows] + theirs[rows]})


def _seeds_error(setting: Setting) -> float:
    return 2 * (setting.sd_over_seeds or 0.0) / math.sqrt(max(1, len(setting.finished)))


def _scores(setting: Setting) -> tuple[Scores, str]:
    """The SHA-256 of test rows → scores of the seeds that have them; and why others have none."""
    scores: Scores = {}
    problem = ""
    for run in setting.finished:
        rows = run.result.get("test_rows_sha256")
        if rows is None or run.test_scores is None:
            problem = "no test_scores.npy"
            continue
        try:
            scores.setdefault(rows, []).append(read_scores(run.test_scores))
        except RunFolderError as error:
            problem = str(error).removeprefix(f"{run.test_scores}: ")
    return scores, problem
