"""Suggestions for keys and choices that do not exist."""

import difflib
from collections.abc import Iterable
from typing import Any

from hydra.errors import HydraException, MissingConfigException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from flowbench.config.signatures import parameters, target_of
from flowbench.config.words import either

__all__ = ["hydra_sentence", "nearest_keys", "null_sentence"]

SHORT = {"lr": "learning_rate", "epochs": "max_epochs", "bs": "batch_size", "wd": "weight_decay"}


def hydra_sentence(error: HydraException) -> str:
    """The problem with an override in one sentence, or else Hydra's own message."""
    cause = error.__cause__
    if isinstance(error, MissingConfigException) and error.options:
        group, _, choice = (error.missing_cfg_file or "").rpartition("/")
        near = difflib.get_close_matches(choice, error.options, n=2)
        return f"{group}={choice} does not exist; {_meant(group + '=', near, error.options)}"
    if isinstance(cause, OmegaConfBaseException) and cause.parent_node is not None:
        word = str(cause.full_key)
        of_hydra = word.startswith("hydra.")
        root = OmegaConf.to_container(cause.parent_node._get_root())
        keys = _full_keys("", root)
        keys = [key for key in keys if key.partition(".")[0] != "hydra" or of_hydra]
        beside = [key for key in keys if key.rpartition(".")[0] == word.rpartition(".")[0]]
        near = nearest_keys(word, keys)
        if not near and _takes(root, word):
            return f"{word} is not set in its file; +{word}=… adds it"
        return f"{word} is not a key; {_meant('', near, beside)}"
    words = [str(part).strip() for part in (error, cause) if part is not None]
    return "\n".join(filter(None, words))


def _takes(root: Any, word: str) -> bool:
    """Whether the class of a section has an option that the section does not set."""
    section, _, name = word.partition(".")
    node = root.get(section)
    target = target_of(node) if isinstance(node, dict) else None
    return target is not None and name in (parameters(target) or {})


def null_sentence(error: Exception, words: Iterable[str]) -> str:
    """Advice where a group is set to null, which Hydra cannot do; empty for any other error.

    Example:
        >>> error = ValueError("Config group override must be a string or a list. Got NoneType")
        >>> null_sentence(error, ["model=maf", "protocol=null"])
        'protocol=null: leave it out; without it there is none'
    """
    if not str(error).startswith("Config group override must be"):
        return ""
    given = " ".join(word for word in words if word.endswith("=null") and "." not in word)
    return f"{given}: leave it out; without it there is none"


def nearest_keys(word: str, keys: Iterable[str]) -> list[str]:
    """At most two keys that a misspelt one may stand for.

    Example:
        >>> keys = ["model", "model.layers", "training", "training.learning_rate"]
        >>> nearest_keys("training.lr", keys), nearest_keys("layer", keys)
        (['training.learning_rate'], ['model.layers'])
    """
    keys = list(keys)
    section, _, name = word.rpartition(".")
    name = SHORT.get(name, name)
    inside = [key for key in keys if section and key.rpartition(".")[0] == section]
    for known in (inside, keys):
        last = [key.rpartition(".")[2] for key in known]
        near = difflib.get_close_matches(name, last, n=1 if section else 2, cutoff=0.7)
        close = [name] if name in last else near
        close = close or [one for one in last if one.startswith(name)]
        found = [key for key in known if key.rpartition(".")[2] in close]
        if found:
            return found[:2]
    return [] if inside else difflib.get_close_matches(word, keys, n=1)


def _meant(prefix: str, near: list[str], known: Iterable[str]) -> str:
    if near:
        return f"did you mean {either(prefix + one for one in near)}?"
    return f"known: {', '.join(sorted(known))}"


def _full_keys(prefix: str, value: object) -> list[str]:
    if not isinstance(value, dict):
        return []
    own = {f"{prefix}{name}": inner for name, inner in value.items()}
    return [*own, *(key for name, inner in own.items() for key in _full_keys(f"{name}.", inner))]
