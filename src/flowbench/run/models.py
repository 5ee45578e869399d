"""The models of `python train.py model=…`, by name and without Hydra."""

from collections.abc import Mapping
from functools import cache
from pkgutil import resolve_name
from typing import Any

import yaml

from flowbench.config.words import near_or_all
from flowbench.flows.closed_form import ClosedForm
from flowbench.run.config_directory import config_directory

__all__ = ["marginalizes", "model_of"]


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
