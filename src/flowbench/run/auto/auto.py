"""`model=auto`: from a race to one density."""

import math
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, NoReturn

import torch

from flowbench import ranks
from flowbench.checkpoint import TrainedDensity, saved_values
from flowbench.config.errors import ConfigError
from flowbench.config.limits import AtLeastOne, AtLeastZero, Positive
from flowbench.config.settings import Settings
from flowbench.console import say as tell
from flowbench.data import DataError, DataModule
from flowbench.evaluation.likelihood import device_of, log_likelihoods
from flowbench.evaluation.paired import paired_difference
from flowbench.evaluation.score import summarize
from flowbench.flows import Flow, Mixture
from flowbench.from_config import build_flow
from flowbench.run.auto.folds import Fold, folds_of, known_rows, on_normal_scale
from flowbench.run.auto.portfolio import Entry, portfolio
from flowbench.run.auto.race import CALIBRATION, MOST_MEMBERS, Race
from flowbench.run.auto.standing import Standing
from flowbench.run.auto.weights import mixture_weights
from flowbench.run.fit import Fitted
from flowbench.run.folder import RunFolder

__all__ = ["auto", "is_race", "race"]

KNOWN = 0.05  # of the test rows, above which it is told
TARGET = "flowbench.run.auto.auto.auto"


def auto(
    features: AtLeastOne, *, context_features: AtLeastZero = 0, minutes: Positive
) -> NoReturn:
    """The best density for the data, found within some minutes.

    Args:
        features: size of the event.
        context_features: size of the context, 0 for none.
        minutes: wall time of the search.

    Raises:
        TypeError: always, since it is not a flow, but chooses one: `python train.py model=auto`.
    """
    raise TypeError("model=auto chooses a flow by training several: python train.py model=auto")


def is_race(settings: Settings) -> bool:
    """Whether a run is a race between models."""
    return settings.model["_target_"] == TARGET


def race(
    data: DataModule,
    settings: Settings,
    folder: RunFolder,
    *,
    progress: bool = True,
    clock: Callable[[], float] = time.monotonic,
) -> Fitted:
    """Race, mix the best, and save the density as that of the run.

    Validation rows choose; test rows are scored by the winner and the baselines once it is chosen.

    Args:
        data: set up.
        settings: of the run.
        folder: of the run.
        progress: print the standings.
        clock: seconds since some moment.
    """
    if ranks.size() > 1:
        raise ConfigError(
            f"model=auto trains on one device, and {ranks.size()} processes were started: "
            "expected trainer.devices=1 and trainer.num_nodes=1"
        )
    say = tell if progress else lambda _: None
    folds = folds_of(data)
    skewed = _skewed(data)
    entries = portfolio(
        len(folds[0].data.rows["train"]),
        data.features,
        context_features=data.context_features,
        mixed=data.measure is not None,
        lattice=data.lattice is not None,
        skewed=bool(skewed),
        weighted=data.rows["train"].weight is not None,
    )
    seconds = 60 * settings.model["minutes"]
    _tell_of(entries, folds, skewed, minutes=settings.model["minutes"], say=say)
    if len(folds) > 1:
        _tell_of_known_rows(data, say)
    folder.begin()
    contest = Race(entries, folds, settings, folder, seconds=seconds, say=say, clock=clock)
    contest.run()
    winner = _winner(contest, data)
    flow = winner.flow
    _save(flow, winner.model, data, settings, folder)
    found = {
        "minutes": settings.model["minutes"],
        "folds": len(folds),
        "johnson": skewed,
        "chosen": winner.weights,
        "score": winner.score["model_space"],
        "entries": [_described(name, one) for name, one in contest.standings.items()],
        "baselines": _baselines(contest, flow, data),
    }
    found["seconds"] = contest.budget.spent()
    return Fitted(
        flow=flow.eval(),
        history=[],
        best_epoch=-1,
        step=0,
        device=device_of(flow),
        engine=None,
        leads=True,
        race=found,
        val=winner.score if len(folds) > 1 else None,
        seconds_left=max(CALIBRATION * seconds, seconds - found["seconds"]),
    )


def _skewed(data: DataModule) -> list[str]:
    """The columns that are brought to a normal scale, by the training rows."""
    if data.raw.atoms or data.raw.discrete or data.raw.missing:
        return []
    curved = on_normal_scale(data).curved.tolist()
    return [name for name, one in zip(data.raw.feature_names, curved, strict=True) if one]


def _tell_of(
    entries: list[Entry],
    folds: list[Fold],
    skewed: list[str],
    *,
    minutes: float,
    say: Callable[[str], None],
) -> None:
    choose = "validation rows choose"
    if len(folds) > 1:
        choose = f"{len(folds)} folds of training and validation rows choose"
    say(f"{len(entries)} models race for {minutes:g} minutes; {choose}, test rows are sealed "
        "until then")  # fmt: skip
    if skewed:
        say(f"brought to a normal scale (Johnson's S_U): {', '.join(skewed)}")


def _tell_of_known_rows(data: DataModule, say: Callable[[str], None]) -> None:
    known, count = known_rows(data), len(data.rows["test"])
    if known > KNOWN * count:
        say(f"{known} of {count} test rows equal rows of training or validation: their scores are "
            "not those of new rows; expected each row once, or data.group_column")  # fmt: skip


def _described(name: str, standing: Standing) -> dict[str, Any]:
    sums = {"seconds": sum(standing.seconds), "epochs": sum(standing.epochs)}
    kept = {key: getattr(standing, key) for key in ("val", "status", "why", "folds")}
    return {"name": name, **kept, **sums}


class Winner(NamedTuple):
    """The density that a race has found.

    Attributes:
        flow: itself.
        model: its configuration.
        weights: of the entries that it is a mixture of.
        score: of the rows that chose, in both spaces; none of its members trained on a row that it
            is scored on.
    """

    flow: Flow
    model: dict[str, Any]
    weights: dict[str, float]
    score: dict[str, dict[str, float]]


def _winner(contest: Race, data: DataModule) -> Winner:
    """The best entry, or the mixture of the best if it is better."""
    names, folds = contest.chosen()
    if not names:
        told = "; ".join(dict.fromkeys(one.why for one in contest.standings.values() if one.why))
        raise DataError(f"model=auto: no model has a density of these data: {told}")
    names = names[:MOST_MEMBERS]
    terms = torch.stack([contest.members.terms_of(name, folds) for name in names], -1)
    rows = contest.members.weights(folds)
    weights = mixture_weights(terms, rows)
    mixed = (terms + weights.log()).logsumexp(-1)
    gain = paired_difference(mixed, terms[:, 0], rows)["mean"] * len(mixed)
    kept = {n: w for n, w in zip(names, weights.tolist(), strict=True) if w > 0}
    if gain < len(kept) - 1:  # what so many weights gain by chance, and more
        kept, mixed = {names[0]: 1.0}, terms[:, 0]
    flow, model = _mixed(contest, kept, folds, data)
    spaces = {"model_space": mixed, "data_space": mixed + contest.members.log_det(folds)}
    score = {space: summarize(each, rows) for space, each in spaces.items()}
    return Winner(flow, model, kept, score)


def _mixed(
    contest: Race, kept: Mapping[str, float], folds: int, data: DataModule
) -> tuple[Flow, dict[str, Any]]:
    """The mixture of some entries, each of which is the mean of its densities of all folds."""
    members = [(name, fold) for name in kept for fold in range(folds)]
    flows = [contest.members.flow(*member) for member in members]
    models = [_model(contest.entries[name]) for name, _ in members]
    if len(members) == 1:
        return flows[0], models[0]
    model: dict[str, Any] = {
        "_target_": "flowbench.flows.ensemble",
        "flows": [{**one, "_partial_": True} for one in models],
        "weights": [kept[name] / folds for name, _ in members],
    }
    flow = build_flow(model, **data.sizes)
    assert isinstance(flow, Mixture)
    for member, trained in zip(flow.base.members, flows, strict=True):
        member.load_state_dict(trained.state_dict())
    return flow, model


def _model(entry: Entry) -> dict[str, Any]:
    if not entry.johnson:
        return dict(entry.model)
    return {"_target_": "flowbench.flows.johnson_of", "flow": {**entry.model, "_partial_": True}}


def _save(
    flow: Flow,
    model: Mapping[str, Any],
    data: DataModule,
    settings: Settings,
    folder: RunFolder,
) -> None:
    """Write the checkpoint of the run."""
    named = {"name": settings.model["name"], **model}
    saved = saved_values({**settings.plain, "model": named}, data)
    density = TrainedDensity(
        flow,
        preprocess=data.preprocess,
        context_preprocess=data.context_preprocess,
        config=saved["config"],
        context_shape=data.context_shape,
        feature_names=data.raw.feature_names,
        saved=saved,
    )
    density.save(folder.best)


def _baselines(contest: Race, flow: Flow, data: DataModule) -> list[dict[str, Any]]:
    """The baselines on test rows, and how far the winner is ahead, row by row."""
    test = data.rows["test"]
    own = log_likelihoods(flow, test)
    found = []
    names, folds = contest.chosen()
    for name in names:
        if not contest.entries[name].baseline:
            continue
        each = [log_likelihoods(contest.members.flow(name, fold), test) for fold in range(folds)]
        terms = torch.stack(each).logsumexp(0) - math.log(len(each))
        ahead = paired_difference(own, terms, test.weight)
        found.append({"name": name, "test": summarize(terms, test.weight), "ahead": ahead})
    return found
