"""The settings of an estimator: options of its model and of its training."""

from collections.abc import Mapping
from dataclasses import fields
from pkgutil import resolve_name
from typing import Any

from flowbench.config.configuration import SIZES
from flowbench.config.settings import Training
from flowbench.config.signatures import parameters
from flowbench.config.words import near_or_all
from flowbench.run.models import model_of

__all__ = ["TRAINING", "known_settings", "refuse_unknown"]

TRAINING = frozenset(one.name for one in fields(Training))


def known_settings(name: str) -> frozenset[str]:
    """The options of a model and of its training, by name; "auto" chooses all of them."""
    if name == "auto":
        return frozenset()
    target = resolve_name(model_of(name)["_target_"])
    return TRAINING | frozenset(parameters(target) or {}) - SIZES


def refuse_unknown(names: Mapping[str, Any], known: frozenset[str], *, model: str) -> None:
    """Refuse settings that neither a model nor its training has.

    Raises:
        ValueError: one sentence for each of them.
    """
    if problems := [
        f"{name} is not a setting of model={model!r}"
        + (near_or_all(name, known) if known else ", which chooses its own")
        for name in names
        if name not in known
    ]:
        raise ValueError("\n".join(problems))
