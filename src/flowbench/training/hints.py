"""What was meant by a key or a choice that does not exist."""

import difflib
from collections.abc import Iterable

from hydra.errors import HydraException, MissingConfigException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from flowbench.training.signatures import either

__all__ = ["hydra_sentence", "nearest_keys"]

SHORT = {"lr": "learning_rate", "epochs": "max_epochs", "bs": "batch_size", "wd": "weight_decay"}


def hydra_sentence(error: HydraException) -> str:
    """What is wrong with an override, in one sentence; else Hydra's own words."""
    cause = error.__cause__
    if isinstance(error, MissingConfigException) and error.options:
        group, _, choice = (error.missing_cfg_file or "").rpartition("/")
        near = difflib.get_close_matches(choice, error.options, n=2)
        return f"{group}={choice} does not exist; {_meant(group + '=', near, error.options)}"
    if isinstance(cause, OmegaConfBaseException) and cause.parent_node is not None:
        word = str(cause.full_key)
        of_hydra = word.startswith("hydra.")
        keys = _full_keys("", OmegaConf.to_container(cause.parent_node._get_root()))
        keys = [key for key in keys if key.partition(".")[0] != "hydra" or of_hydra]
        beside = [key for key in keys if key.rpartition(".")[0] == word.rpartition(".")[0]]
        return f"{word} is no key; {_meant('', nearest_keys(word, keys), beside)}"
    words = [str(part).strip() for part in (error, cause) if part is not None]
    return "\n".join(filter(None, words))


def nearest_keys(word: str, keys: Iterable[str]) -> list[str]:
    """The keys that a misspelt one may have meant, at most two.

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
        close = [name] if name in last else difflib.get_close_matches(name, last, n=1, cutoff=0.7)
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
