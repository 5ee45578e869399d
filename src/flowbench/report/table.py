"""The tidy table: one row per run, one column per quantity."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from flowbench.evaluation.score import Score, reported, statistics
from flowbench.evaluation.text import NUMBERS
from flowbench.report.collect import RunRecord
from flowbench.run.identity import DISPLAY, ELSEWHERE, RESULT_SECTIONS

__all__ = ["differing_keys", "flat", "score_of", "tidy"]

IRRELEVANT = {
    *("data.seed", "data.batch_size", "data.data_dir", "data.cache_dir"),
    *("data.name", "data._target_", "model.name", "model._target_"),
    *(f"trainer.{key}" for key in ELSEWHERE | DISPLAY),
}


def tidy(runs: Sequence[RunRecord]) -> pd.DataFrame:
    """One row per run; log-likelihoods in nats, in model space unless the name says else.

    They are per event: a row, or a clip of `rows_per_event` rows, one per frame.

    The last columns are the keys of the configuration in which runs of one data set and model
    differ; they are empty where they do not apply.

    Args:
        runs: as `collect` gives them.
    """
    alike: dict[tuple[str, str], list[RunRecord]] = {}
    for run in runs:
        alike.setdefault((run.data, run.model), []).append(run)
    keys = {place: differing_keys(group) for place, group in alike.items()}
    rows = []
    for run in runs:
        own = flat(run.config)
        rows.append(_row(run) | {key: own[key] for key in keys[run.data, run.model] if key in own})
    return pd.DataFrame(rows)


def differing_keys(runs: Sequence[RunRecord]) -> list[str]:
    """The keys, of those that change a result, in which the configurations of runs differ.

    An option of the model, the data or the evaluation that an earlier run does not have yet is no
    difference.
    """
    known = [flat(run.config) for run in runs if run.config]
    keys = dict.fromkeys(key for values in known for key in values)
    return [key for key in keys if len(_values(key, known)) > 1]


def _values(key: str, configs: Iterable[Mapping[str, Any]]) -> set[str]:
    later = key.startswith(("model.", "data.", "evaluation."))
    return {str(config.get(key)) for config in configs if key in config or not later}


def flat(config: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of a configuration that change a result, written with dots; lists as text.

    A seed is left out where it is the seed of the run.

    Example:
        >>> flat({"seed": 1, "model": {"name": "maf", "hidden_units": [8, 8], "seed": 1}})
        {'model.hidden_units': '[8,8]'}
    """
    given = {name: config[name] for name in RESULT_SECTIONS if name in config}
    absent = {name for name in ("module", "callbacks") if not given.get(name)}
    pairs = (pair for name in given if name not in absent for pair in _pairs(name, given[name]))
    return {
        key: value
        for key, value in pairs
        if key not in IRRELEVANT and not (key.endswith(".seed") and value == config.get("seed"))
    }


def score_of(run: RunRecord, split: str, space: str = "model_space") -> Score | None:
    """The score of a run that tables report, see `reported`; None unless it is finished."""
    return reported(run.result[split], space) if run.result else None


def _pairs(key: str, value: object) -> Iterable[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _pairs(f"{key}.{name}", inner)
    elif isinstance(value, list):
        yield key, json.dumps(value, separators=(",", ":"))
    else:
        yield key, value


def _row(run: RunRecord) -> dict[str, Any]:
    result, published = run.result, run.result.get("published") or {}
    return {
        "data": run.data,
        "model": run.model,
        "hash": run.hash,
        "seed": run.seed,
        "status": run.status,
        "measure": run.measure,
        "knows_lattice": result.get("knows_lattice"),
        **_scores(run),
        "published": published.get("mean"),
        "published_two_standard_errors": published.get("two_standard_errors"),
        "published_as": ", ".join(filter(None, map(published.get, ("model", "source")))),
        "parameters": result.get("parameters"),
        "epochs": result.get("epochs", len(run.history)),
        "best_epoch": result.get("best_epoch"),
        "seconds": result.get("seconds"),
        "cpu_seconds": result.get("cpu_seconds"),
        "peak_memory_bytes": result.get("peak_memory_bytes"),
        "samples_per_second": result.get("samples_per_second"),
        "device": result.get("device"),
        "threads": result.get("threads"),
        "folder": run.path.as_posix(),
        "command": run.command,
        "error": run.error,
    }


def _scores(run: RunRecord) -> dict[str, Any]:
    """Every statistic of the test score, and the other numbers of that split."""
    test, score = run.result.get("test", {}), score_of(run, "test")
    known = {} if score is None else score.json()
    inner, outer = score_of(run, "val"), score_of(run, "test", "data_space")
    return {
        "test": known.get("mean"),
        **{f"test_{name}": known.get(name) for name in statistics() if name != "mean"},
        "test_data_space": outer and outer.mean,
        "val": inner and inner.mean,
        "rows_per_event": test.get("rows_per_event"),
        **{name: test.get(name) for name in NUMBERS},
        "noise_draws": test.get("noise_draws"),
        "class_prior": test.get("class_prior", {}).get("kind"),
    }
