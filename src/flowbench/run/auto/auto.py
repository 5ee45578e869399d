"""`model=auto`: from a race to one density."""

from collections.abc import Mapping
from typing import Any, NoReturn

import torch
from torch import Tensor

from flowbench.checkpoint import TrainedDensity, build_flow, load, saved_values
from flowbench.config.limits import AtLeastOne, AtLeastZero, Positive
from flowbench.config.settings import Settings
from flowbench.console import say as tell
from flowbench.data import DataError, DataModule
from flowbench.evaluation.likelihood import device_of, log_likelihoods
from flowbench.evaluation.paired import paired_difference
from flowbench.evaluation.score import summarize
from flowbench.flows import Flow, Mixture
from flowbench.run.auto.portfolio import portfolio
from flowbench.run.auto.race import Race
from flowbench.run.auto.weights import mixture_weights
from flowbench.run.fit import Fitted
from flowbench.run.folder import RunFolder

__all__ = ["auto", "is_race", "race"]

FINALISTS = 5
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
        TypeError: always, since it is no flow, but chooses one: `python train.py model=auto`.
    """
    raise TypeError("model=auto chooses a flow by training several: python train.py model=auto")


def is_race(settings: Settings) -> bool:
    """Whether a run is a race between models."""
    return settings.model["_target_"] == TARGET


def race(
    data: DataModule, settings: Settings, folder: RunFolder, *, progress: bool = True
) -> Fitted:
    """Race, mix the best, and save the density as that of the run.

    Validation rows choose; test rows are scored by the winner and the baselines once it is chosen.

    Args:
        data: set up.
        settings: of the run.
        folder: of the run.
        progress: print the standings.
    """
    say = tell if progress else lambda _: None
    entries = portfolio(
        len(data.rows["train"]),
        data.features,
        context_features=data.context_features,
        mixed=data.measure is not None,
        lattice=data.lattice is not None,
    )
    seconds = 60 * settings.model["minutes"]
    say(f"{len(entries)} models race for {settings.model['minutes']:g} minutes; validation rows "
        "choose, test rows are sealed until then")  # fmt: skip
    folder.begin()
    contest = Race(entries, data, settings, folder, seconds=seconds, say=say)
    contest.run()
    flow, model, chosen = _winner(contest, data, settings)
    _save(flow, model, data, settings, folder)
    baselines = [name for name, entry in contest.entries.items() if entry.baseline]
    found = {
        "minutes": settings.model["minutes"],
        "chosen": chosen,
        "entries": [{"name": n, **vars(one)} for n, one in contest.standings.items()],
        "baselines": _baselines(contest, flow, data, baselines),
    }
    return Fitted(
        flow=flow.eval(),
        history=[],
        best_epoch=-1,
        step=0,
        device=device_of(flow),
        engine=None,
        leads=True,
        race=found,
    )


def _winner(
    contest: Race, data: DataModule, settings: Settings
) -> tuple[Flow, dict[str, Any], dict[str, float]]:
    """The best entry, or the mixture of the best if it is better: flow, model, weights."""
    scored = [name for name, one in contest.standings.items() if one.val is not None]
    if not scored:
        told = "; ".join(dict.fromkeys(one.why for one in contest.standings.values()))
        raise DataError(f"model=auto: no model has a density of these data: {told}")
    names = contest.ranked(scored)[:FINALISTS]
    flows = {name: load(contest.folder_of(name).best).flow for name in names}
    rows = data.rows["val"]
    terms = torch.stack([log_likelihoods(flows[n], rows) for n in names], -1)
    weights = mixture_weights(terms, rows.weight)
    mixed = (terms + weights.log()).logsumexp(-1)
    gain = paired_difference(mixed, terms[:, 0], rows.weight)
    if (weights > 0).sum() == 1 or gain["mean"] < gain["two_standard_errors"] / 2:
        return flows[names[0]], dict(contest.entries[names[0]].model), {names[0]: 1.0}
    kept = {n: w for n, w in zip(names, weights.tolist(), strict=True) if w > 0}
    model: dict[str, Any] = {
        "_target_": "flowbench.flows.ensemble",
        "flows": [{**contest.entries[name].model, "_partial_": True} for name in kept],
        "weights": list(kept.values()),
    }
    flow = build_flow(model, **data.sizes)
    assert isinstance(flow, Mixture)
    for member, name in zip(flow.base.members, kept, strict=True):
        member.load_state_dict(flows[name].state_dict())
    return flow, model, kept


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
        context_features=data.context_features,
        feature_names=data.raw.feature_names,
        saved=saved,
    )
    density.save(folder.best)


def _baselines(
    contest: Race, flow: Flow, data: DataModule, names: list[str]
) -> list[dict[str, Any]]:
    """The baselines on test rows, and how far the winner is ahead, row by row."""
    own = _on_test(flow, data)
    found = []
    for name in names:
        if contest.standings[name].status != "done":
            continue
        terms = _on_test(load(contest.folder_of(name).best).flow, data)
        weight = data.rows["test"].weight
        ahead = paired_difference(own, terms, weight)
        found.append({"name": name, "test": summarize(terms, weight), "ahead": ahead})
    return found


def _on_test(flow: Flow, data: DataModule) -> Tensor:
    return log_likelihoods(flow, data.rows["test"])
