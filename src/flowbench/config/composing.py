"""All that is wrong with the overrides of a command, where Hydra tells the first alone."""

import re
from collections.abc import Callable, Sequence

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig

from flowbench.config.configuration import ConfigError, check
from flowbench.config.hints import composition_sentence

__all__ = ["problems_of_overrides"]


def problems_of_overrides(
    compose: Callable[[Sequence[str]], DictConfig], overrides: Sequence[str], *, sweep: bool
) -> list[str]:
    """Sentences about each override that cannot be applied, then about the values of the others.

    Args:
        compose: the configuration that overrides give.
        overrides: words of the command line.
        sweep: leave out overrides with several values.
    """
    words = [word for word in overrides if not (sweep and _has_several_values(word))]
    told: list[str] = []
    while (error := _error(compose, words)) is not None:
        if isinstance(error, ConfigError):
            return [*told, *str(error).splitlines()]
        culprit = _culprit(compose, words, error)
        told.append(composition_sentence(error, culprit))
        if culprit is None:
            return told
        words.remove(culprit)
    return told


def _error(
    compose: Callable[[Sequence[str]], DictConfig], words: Sequence[str]
) -> Exception | None:
    """Why a configuration cannot be composed, or what is wrong with it."""
    try:
        check(compose(words))
    except Exception as error:  # Hydra and OmegaConf raise many kinds
        return error
    return None


def _culprit(
    compose: Callable[[Sequence[str]], DictConfig], words: Sequence[str], error: Exception
) -> str | None:
    """The word without which there is not this error; None if there is no single one."""
    for word in sorted(reversed(words), key=lambda word: not _is_named(word, error)):
        rest = [one for one in words if one is not word]
        if str(_error(compose, rest)) != str(error):
            return word
    return None


def _is_named(word: str, error: Exception) -> bool:
    """Whether an error speaks of a word, of its key, or of a key above it."""
    key = word.partition("=")[0].lstrip("+~").partition("@")[0]
    names = [".".join(key.split(".")[:end]) for end in range(1, key.count(".") + 2)]
    found = (re.search(rf"(?<![\w.]){re.escape(one)}(?![\w.])", str(error)) for one in names)
    return word in str(error) or any(found)


def _has_several_values(word: str) -> bool:
    try:
        return OverridesParser.create().parse_override(word).is_sweep_override()
    except HydraException:
        return False
