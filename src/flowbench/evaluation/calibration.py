"""Is a density calibrated: do held-out rows lie where its samples do, as often as it says?"""

import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flowbench.data import Rows
from flowbench.evaluation.likelihood import device_of
from flowbench.evaluation.uniformity import uniformity
from flowbench.flows import Flow
from flowbench.transforms import Transform

__all__ = ["calibration", "density_ranks", "two_sample_test"]

LEVELS = (0.5, 0.9, 0.95, 0.99)
ROWS, FEW_ROWS = 2_000, 500  # without and with contexts
SAMPLES, SAMPLES_PER_ROW, FEW_SAMPLES_PER_ROW = 10_000, 50, 10
SAMPLED_VALUES = 2_000_000
TRIED = 200  # samples, to see what they cost
LEAST_ROWS, LEAST_SAMPLES = 100, 500
SEED = 6021023  # of nobody else's data
FEATURES_PER_SPLIT = 64
FEWEST = 20
MOST_FEATURES = 4096
CHUNK = 8192


@torch.no_grad()
def calibration(
    flow: Flow,
    rows: Rows,
    names: Sequence[str] | None = None,
    *,
    seconds: float | None = None,
    context_names: Sequence[str] = (),
    context_preprocess: Transform | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> dict[str, Any] | None:
    r"""Coverage of regions of highest density, and tests of held-out rows.

    A region {x: log p(x) ≥ c} of probability α should hold a share α of held-out rows. Densities
    of samples tell c, in model space; where the density is conditional, for the context of each
    row. Random numbers of its own make the result repeatable.

    Args:
        flow: the density; it is put into evaluation mode.
        rows: held-out rows, up to 2,000 of which are looked at (500 where they have contexts);
            only those without missing cells.
        names: of the columns.
        context_names: of the numbers in a context; empty: their places, from 1.
        context_preprocess: maps contexts to data units, in which they are told; None: as given.
        seconds: wall time: where it is short, fewer rows are looked at, and fewer samples; None:
            as much as it takes.
        clock: seconds since some moment.

    Returns:
        `rows`: how many; `coverage`: for each of some `level`s the `share` of rows that its region
        holds, with `two_standard_errors`; `two_sample`, see `two_sample_test`; and `uniformity`,
        see there. None for events
        of more than 4,096 features, which would take long to sample, and where all rows have
        missing cells.

    Example:
        >>> from flowbench.flows import Gaussian
        >>> rows = Rows(torch.randn(2000, 2), None, torch.zeros(2000))
        >>> found = calibration(Gaussian(2), rows)
        >>> abs(found["coverage"][0]["share"] - 0.5) < 0.05
        True
    """
    if flow.features > MOST_FEATURES:
        return None
    flow.eval()
    every, rows = rows, rows.whole()
    if not len(rows):
        return None
    with torch.random.fork_rng():
        most = min(len(rows), ROWS if rows.context is None else FEW_ROWS)
        work = 1.0 if seconds is None else _affordable(flow, rows, most, seconds, clock)
        most = max(LEAST_ROWS, int(work * most))
        torch.manual_seed(SEED)
        places = torch.linspace(0, len(rows) - 1, min(most, len(rows))).long()
        x, context = (None if part is None else part[places] for part in (rows.x, rows.context))
        assert x is not None
        count = max(LEAST_SAMPLES, int(work * SAMPLES))
        ranks, samples = density_ranks(flow, x, context, count)
        uniform = uniformity(
            flow,
            every,
            names,
            context_names=context_names,
            context_preprocess=context_preprocess,
            most=most,
        )
    given = None if context is None else _numbers(context)
    weight = None if rows.weight is None else rows.weight[places]
    share = torch.full((len(x),), 1 / len(x)) if weight is None else weight / weight.sum()
    independent = float(share.square().sum()) + (
        1 / _samples(x, count) if context is None else 0.0
    )
    return {
        "rows": len(x),
        "coverage": [
            {
                "level": level,
                "share": float(share.to(ranks) @ (ranks <= level).to(ranks)),
                "two_standard_errors": 2 * math.sqrt(level * (1 - level) * independent),
            }
            for level in LEVELS
        ],
        "two_sample": two_sample_test(_numbers(x), _numbers(samples), given, weight),
        "uniformity": uniform,
    }


def density_ranks(
    flow: Flow, x: Tensor, context: Tensor | None, most: int = SAMPLES
) -> tuple[Tensor, Tensor]:
    """The probability of a density higher than that of each row, and a sample for each.

    If the rows are drawn from the density, ranks are uniform on [0, 1]; equal densities, as those
    of the levels of a lattice, are ordered by chance.

    Args:
        flow: in evaluation mode.
        x: `[rows, features]` in model space.
        context: `[rows, …]`, or None.
        most: samples that rows without contexts are compared with, at most.

    Returns:
        Float64 `[rows]`, and `[rows, features]`.
    """
    device = device_of(flow)
    if context is None:
        count = _samples(x, most)
        samples = torch.cat([flow.sample(part) for part in _sizes(count)])
        drawn = _scores(flow, samples, None).sort().values
        own = _scores(flow, x.to(device), None)
        below, upto = (torch.searchsorted(drawn, own, right=right) for right in (False, True))
        return _rank(count - upto, upto - below, count), samples[: len(x)].cpu()
    above = torch.zeros(len(x), dtype=torch.float64)
    equal = torch.zeros(len(x), dtype=torch.float64)
    own, samples = _scores(flow, x.to(device), context.to(device)), x
    count = _samples_per_row(x)
    for _ in range(count):
        samples = flow.sample((), context.to(device))
        drawn = _scores(flow, samples, context.to(device))
        above += drawn > own
        equal += drawn == own
    return _rank(above, equal, count), samples.cpu()


def _affordable(
    flow: Flow, rows: Rows, most: int, seconds: float, clock: Callable[[], float]
) -> float:
    """The part of the work for which there is time, by the cost of a few samples."""
    context = None if rows.context is None else rows.context[:TRIED].to(device_of(flow))
    begun = clock()
    samples = flow.sample(TRIED) if context is None else flow.sample((), context)
    _scores(flow, samples, context)
    each = (clock() - begun) / len(samples)
    work = most + (SAMPLES if context is None else most * _samples_per_row(rows.x[:most]))
    return min(1.0, max(0.0, seconds) / (2 * each * work + 1e-9))


def _samples_per_row(x: Tensor) -> int:
    """How many samples every row with a context is compared with: fewer of many features."""
    return max(FEW_SAMPLES_PER_ROW, min(SAMPLES_PER_ROW, SAMPLED_VALUES // x.numel()))


def _samples(x: Tensor, most: int) -> int:
    """How many samples rows without contexts are compared with: fewer of many features."""
    return max(len(x), min(most, SAMPLED_VALUES // x.shape[-1]))


def _rank(above: Tensor, equal: Tensor, count: int) -> Tensor:
    """The rank of a row among its samples and itself, on [0, 1]."""
    chance = torch.rand(above.shape, dtype=torch.float64)
    return (above + chance * (equal + 1)) / (count + 1)


def _scores(flow: Flow, x: Tensor, context: Tensor | None) -> Tensor:
    contexts = [None] * -(-len(x) // CHUNK) if context is None else context.split(CHUNK)
    parts = [flow.log_prob(*pair) for pair in zip(x.split(CHUNK), contexts, strict=True)]
    return torch.cat(parts).cpu().double().nan_to_num(nan=-torch.inf, neginf=-torch.inf)


def _numbers(part: Tensor) -> NDArray[Any]:
    return part.cpu().double().flatten(1).numpy()


def _sizes(count: int) -> list[int]:
    return [min(CHUNK, count - start) for start in range(0, count, CHUNK)]


def two_sample_test(
    rows: NDArray[Any],
    samples: NDArray[Any],
    context: NDArray[Any] | None = None,
    weight: Tensor | None = None,
) -> dict[str, float] | None:
    """How well a classifier tells samples from rows, which it should not be able to.

    Gradient-boosted trees, trained on one half and scored on the other, both ways round.

    Args:
        rows: held-out rows `[n, features]`.
        samples: as many.
        context: of both, `[n, context_features]`.
        weight: how much each row counts, `[n]`; None: all the same.

    Returns:
        `auroc`, near ½ where samples are like the rows, and the `two_standard_errors` that it has
        if they are (Mann & Whitney 1947); None for fewer than 20 rows.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> found = two_sample_test(rng.normal(size=(400, 2)), 9 + rng.normal(size=(400, 2)))
        >>> found["auroc"] > 0.99
        True
    """
    from sklearn.ensemble import HistGradientBoostingClassifier  # slow to import
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import GroupKFold, cross_val_predict

    n = len(rows)
    if n < FEWEST:
        return None
    x = np.concatenate([rows, samples])
    x[~np.isfinite(x)] = np.nan
    if context is not None:
        x = np.concatenate([x, np.tile(context, (2, 1))], axis=1)
    y = np.repeat([0, 1], n)
    share = min(1.0, FEATURES_PER_SPLIT / x.shape[1])
    trees = HistGradientBoostingClassifier(max_iter=30, max_features=share, random_state=0)
    pairs = np.tile(np.arange(n), 2)  # of one context, which would tell the other's class
    counts, equal = None, float(n)  # the number of equal rows with means as exact
    if weight is not None:
        share = (weight / weight.sum()).double().cpu().numpy()
        counts, equal = np.concatenate([share * n, np.ones(n)]), 1 / float(share @ share)
    options: Any = {} if counts is None else {"params": {"sample_weight": counts}}
    scores = cross_val_predict(
        trees, x, y, groups=pairs, cv=GroupKFold(2), method="decision_function", **options
    )
    error = 2 * math.sqrt((equal + n + 1) / (12 * equal * n))
    auroc = roc_auc_score(y, scores, sample_weight=counts)
    return {"auroc": float(auroc), "two_standard_errors": error}
