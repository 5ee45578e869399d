"""Suggestions for keys and choices that do not exist."""

from collections.abc import Iterable
from typing import Any

from hydra.core.global_hydra import GlobalHydra
from hydra.errors import MissingConfigException, OverrideParseException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from flowbench.config.configuration import SIZES
from flowbench.config.quoting import how_to_quote
from flowbench.config.signatures import parameters, target_of
from flowbench.config.words import either, nearest, same_elsewhere

__all__ = ["composition_sentence", "nearest_keys"]

WITHOUT_DEFAULT = {"protocol", "experiment", "sweep"}  # groups of which a command may have none


def composition_sentence(error: Exception, override: str | None) -> str:
    """Why a configuration cannot be composed, in one sentence.

    Args:
        error: of Hydra or OmegaConf.
        override: the word of the command line that causes it, if it is known.
    """
    cause = error.__cause__
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        return _other_choice(error.missing_cfg_file)
    if isinstance(error, OverrideParseException):
        return how_to_quote(error.override)
    if isinstance(cause, OmegaConfBaseException) and cause.parent_node is not None:
        word = str(cause.full_key)
        of_hydra = word.startswith("hydra.")
        root = OmegaConf.to_container(cause.parent_node._get_root())
        keys = _full_keys("", root)
        keys = [key for key in keys if key.partition(".")[0] != "hydra" or of_hydra]
        beside = [key for key in keys if key.rpartition(".")[0] == word.rpartition(".")[0]]
        near = nearest_keys(word, keys)
        if word.rpartition(".")[2] in SIZES:
            return f"{word}: flowbench sets it itself; leave it out"
        if not near and _takes(root, word):
            return f"{word} is not set in its file; +{word}=… adds it"
        if word in keys:
            return f"{override or word}: expected a mapping, name → its keys"
        if word == "data.path":
            path = (override or "").partition("=")[2] or "…"
            chosen = OmegaConf.select(cause.parent_node, "name")
            return f"{word} is not a key of data={chosen}; {_table(path)}"
        return f"{word} is not a key; {_meant('', near, beside)}"
    first = next(iter(str(error).strip().splitlines()), type(error).__name__)
    if override is None:
        return first
    if first.startswith("Ambiguous value"):
        key, _, values = override.partition("=")
        return (
            f"{override}: several values are a sweep, which needs -m; a list is written "
            f"'{key}=[{values}]'"
        )
    key, sign, _ = override.lstrip("+").partition("=")
    if override.endswith("=null") and key in WITHOUT_DEFAULT:
        return f"{override}: leave it out; without it there is none"
    choices = _choices(key) if sign else []
    if choices:
        return f"{override}: expected one of {', '.join(choices)}"
    return f"{override}: {first}"


def _other_choice(missing: str) -> str:
    """The sentence about a choice that does not exist, such as `model/mfa`."""
    group, _, choice = missing.partition("/")
    if group == "hydra":
        inner, _, choice = choice.partition("/")
        group = f"{group}/{inner}"
    known = _choices(group)
    if not known:
        return f"{missing} does not exist"
    if group == "data" and "." in choice:
        return f"{missing.replace('/', '=', 1)} does not exist; {_table(missing[5:])}"
    near = nearest(choice, known)
    return f"{group}={choice} does not exist; {_meant(group + '=', near, known)}"


def _table(path: str) -> str:
    return f"a table of your own is data=table data.path={path}"


def _choices(group: str) -> list[str]:
    """The choices of a group, also those in folders of it, as `folder/choice`."""
    if not GlobalHydra.instance().is_initialized():
        return []
    loader = GlobalHydra.instance().config_loader()
    inner = set(loader.list_groups(group)) - set(loader.list_groups(""))  # not protocol/data
    deeper = [f"{name}/{one}" for name in inner for one in _choices(f"{group}/{name}")]
    return sorted([*loader.get_group_options(group), *deeper])


def _takes(root: Any, word: str) -> bool:
    """Whether the class of a section has an option that the section does not set."""
    section, _, name = word.rpartition(".")
    node: Any = root
    for key in section.split("."):
        node = node.get(key) if isinstance(node, dict) else None
    target = target_of(node) if isinstance(node, dict) else None
    return target is not None and name in (parameters(target) or {})


def nearest_keys(word: str, keys: Iterable[str]) -> list[str]:
    """At most two keys that a misspelt one may stand for.

    Example:
        >>> keys = ["model", "model.layers", "training", "training.learning_rate"]
        >>> nearest_keys("training.lr", keys), nearest_keys("layer", keys)
        (['training.learning_rate'], ['model.layers'])
    """
    keys = list(keys)
    section, _, name = word.rpartition(".")
    inside = [key for key in keys if section and key.rpartition(".")[0] == section]
    for known in (inside, keys):
        last = [key.rpartition(".")[2] for key in known]
        same = [one.partition("=")[0] for one in same_elsewhere(name, last)]
        near = nearest(name, last, n=1 if section else 2, cutoff=0.7)
        close = [name] if name in last else same or near
        close = close or [one for one in last if one.startswith(name)]
        found = [key for key in known if key.rpartition(".")[2] in close]
        if found:
            return found[:2]
    return [] if inside else nearest(word, keys, n=1)


def _meant(prefix: str, near: list[str], known: Iterable[str]) -> str:
    if near:
        return f"did you mean {either(prefix + one for one in near)}?"
    return f"known: {', '.join(sorted(known))}"


def _full_keys(prefix: str, value: object) -> list[str]:
    if not isinstance(value, dict):
        return []
    own = {f"{prefix}{name}": inner for name, inner in value.items()}
    return [*own, *(key for name, inner in own.items() for key in _full_keys(f"{name}.", inner))]
