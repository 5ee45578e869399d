"""The models of `python train.py model=…`, by name and without Hydra."""

from collections.abc import Mapping
from dataclasses import fields
from functools import cache
from pkgutil import resolve_name
from typing import Any

import yaml

from flowbench.config.settings import Training
from flowbench.config.signatures import parameters
from flowbench.config.words import near_or_all
from flowbench.flows.closed_form import ClosedForm
from flowbench.run.config_directory import config_directory

__all__ = ["TRAINING", "known_settings", "marginalizes", "model_of", "refuse_unknown"]

TRAINING = frozenset(one.name for one in fields(Training))
SIZES = frozenset(("features", "context_features", "lattice", "circular"))


@cache
def model_of(name: str) -> Mapping[str, Any]:
    """The configuration of a model: its class, and the options that it changes.

    Raises:
        ValueError: there is no such model.

    Example:
        >>> model_of("made_mog")
        {'_target_': 'flowbench.flows.MADE', 'family': 'mixture'}
    """
    folder = config_directory() / "model"
    path = folder / f"{name}.yaml"
    if not path.is_file():
        known = near_or_all(name, (file.stem for file in folder.glob("*.yaml")))
        raise ValueError(f"model={name!r} is unknown{known}")
    own = yaml.safe_load(path.read_text(encoding="utf-8"))
    parents = [one for one in own.pop("defaults", []) if one != "_self_"]
    values = {key: value for parent in parents for key, value in model_of(parent).items()}
    return values | {key: value for key, value in own.items() if key != "name"}


def known_settings(name: str) -> frozenset[str]:
    """The options of a model and of its training, by name."""
    target = resolve_name(model_of(name)["_target_"])
    return TRAINING | frozenset(parameters(target) or {}) - SIZES


def marginalizes(name: str) -> bool:
    """Whether the density of a model integrates missing cells out; False for no model.

    Example:
        >>> marginalizes("gaussian_mixture"), marginalizes("maf")
        (True, False)
    """
    try:
        target = resolve_name(model_of(name)["_target_"])
    except ValueError:
        return False
    return isinstance(target, type) and issubclass(target, ClosedForm)


def refuse_unknown(names: Mapping[str, Any], known: frozenset[str], *, model: str) -> None:
    """Refuse settings that neither a model nor its training has.

    Raises:
        ValueError: one sentence for each of them.
    """
    if problems := [
        f"{name} is no setting of model={model!r}{near_or_all(name, known)}"
        for name in names
        if name not in known
    ]:
        raise ValueError("\n".join(problems))
