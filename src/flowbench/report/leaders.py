"""Every setting held against the best one of its ranking, row by row where that is possible."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from flowbench.report.settings import Setting, best_by_validation, rankings
from flowbench.run.reading import RunFolderError, read_scores

__all__ = ["Behind", "behind_leaders"]

TINY = np.finfo(np.float64).tiny
Floats = NDArray[np.float64]
Scores = dict[str, list[Floats]]


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
    """The difference of each setting to its leader; None without a result, or without others.

    The leader is the setting with the highest validation log-likelihood, so that no test row has
    a part in its choice; a setting may have a higher test log-likelihood.
    """
    found: dict[int, Behind] = {}
    for members in rankings(settings).values():
        leader = best_by_validation(members)
        if leader is None or sum(bool(setting.finished) for setting in members) == 1:
            continue
        known, weights, problem = _scores(leader)
        for setting in members:
            if setting is leader:
                found[id(setting)] = Behind()
            elif setting.finished:
                found[id(setting)] = _behind(setting, leader, known, weights, problem)
    return [found.get(id(setting)) for setting in settings]


def _behind(
    setting: Setting, leader: Setting, theirs: Scores, weights: dict[str, Floats], problem: str
) -> Behind:
    ours, _, own_problem = _scores(setting)
    shared = [rows for rows in ours if rows in theirs]
    known = {
        rows: [*ours[rows], *theirs[rows], weights.get(rows, ours[rows][0])] for rows in shared
    }
    shared = [rows for rows in shared if len(set(map(len, known[rows]))) == 1]
    pairs = [(ours[rows], theirs[rows]) for rows in shared]
    if not pairs:
        return _unpaired(setting, leader, own_problem or problem or "other test rows")
    by_rows = [np.mean(one, axis=0) - np.mean(other, axis=0) for one, other in pairs]
    each = [weights.get(rows) for rows in shared]  # None: all rows count the same
    sides = [[np.average(scores, weights=each[0]) for scores in side] for side in pairs[0]]
    if len(by_rows) > 1:  # every seed has test rows of its own
        sides = [[np.average(a, weights=w) for a, w in zip(by_rows, each, strict=True)]]
    difference = np.concatenate(by_rows)
    some = [one for one in each if one is not None]
    weight = np.concatenate(some) if len(some) == len(each) else None
    error = _two_standard_errors(difference, weight)
    error = math.hypot(error, *map(_two_standard_errors, sides))
    return Behind(mean=float(np.average(difference, weights=weight)), two_standard_errors=error)


def _unpaired(setting: Setting, leader: Setting, reason: str) -> Behind:
    """The difference of the means, whose errors add up as if they were independent."""
    one, other = setting.log_likelihood("test"), leader.log_likelihood("test")
    assert one is not None
    assert other is not None
    errors = [s.two_standard_errors or 0.0 for s in (setting, leader)]
    errors += [
        2 * (s.sd_over_seeds or 0.0) / math.sqrt(len(s.finished)) for s in (setting, leader)
    ]
    return Behind(mean=one - other, two_standard_errors=math.hypot(*errors), unpaired=reason)


def _two_standard_errors(values: ArrayLike, weight: Floats | None = None) -> float:
    """Of the mean of values; 0 of a single one."""
    known = np.asarray(values, np.float64)
    if len(known) == 1:
        return 0.0
    if weight is not None:
        share = weight / weight.sum()
        return float(2 * np.linalg.norm(share * (known - share @ known)))
    return float(2 * known.std(ddof=1) / math.sqrt(len(known)))


def _scores(setting: Setting) -> tuple[Scores, dict[str, Floats], str]:
    """The SHA-256 of test rows → scores of the seeds that have them, and the weights of the rows.

    Rows that count all the same have no weights. The text is why other seeds have no scores.
    """
    scores: Scores = {}
    weights: dict[str, Floats] = {}
    problem = ""
    for run in setting.finished:
        rows = run.result.get("test_rows_sha256")
        if rows is None or run.test_scores is None:
            problem = "no test_scores.npy"
            continue
        try:
            read = read_scores(run.test_scores)
            if run.test_weights is not None:
                weights[rows] = np.maximum(read_scores(run.test_weights), TINY)
        except RunFolderError as error:
            problem = str(error).removeprefix(f"{run.test_scores}: ")
        else:
            scores.setdefault(rows, []).append(read)
    return scores, weights, problem
