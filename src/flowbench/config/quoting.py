"""Values that Hydra's grammar does not take as they are, such as a path with `=` or `ü`."""

import re
import shlex

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from flowbench.config.overrides import override

__all__ = ["how_to_quote", "quoted"]

STRUCTURE = re.compile(r"[\[\]{}(),'\"$\\]")  # of lists, mappings, sweeps, quotes and references


def quoted(word: str) -> str:
    """A word of the command line; its value is quoted if only that lets Hydra read it.

    Values with brackets, commas or quotes, whose meaning is not certain, stay as they are.

    Example:
        >>> quoted("data.path=dir=1/x.csv"), quoted("model.layers=5")
        ("data.path='dir=1/x.csv'", 'model.layers=5')
    """
    key, sign, value = word.partition("=")
    if not sign or not value or STRUCTURE.search(value) or key.startswith("-") or _parses(word):
        return word
    named = f"{key}='{value}'"
    return named if _parses(named) else word


def how_to_quote(word: str) -> str:
    """What to write for an override that Hydra cannot read.

    Example:
        >>> print(how_to_quote("data.path=a (1).csv"))
        data.path=a (1).csv cannot be read; quote the text: "data.path='a (1).csv'"
        >>> how_to_quote("model.layers")
        'model.layers: expected KEY=VALUE'
    """
    key, sign, value = word.partition("=")
    if not sign:
        return f"{word}: expected KEY=VALUE"
    for opening, closing in ("[]", "{}"):
        if value.count(opening) != value.count(closing):
            return f"{word} cannot be read: {opening} and {closing} do not match"
    if value.startswith("{"):
        return f"{word} cannot be read: quote each text in it, as in {{'two words': [0, 1]}}"
    whole = value.startswith("[") and value.endswith("]")
    named = override(key, _entries(value[1:-1])) if whole else _as_text(key, value)
    if not _parses(shlex.split(named)[0]):
        return f"{word} cannot be read; expected KEY=VALUE"
    return f"{word} cannot be read; quote the text: {named}"


def _as_text(key: str, value: str) -> str:
    text = value.replace("\\", "\\\\").replace("'", "\\'")
    named = f"{key}='{text}'"
    return shlex.quote(named) if set(named) & set('"$`\\!') else f'"{named}"'


def _entries(listed: str) -> list[str]:
    """The entries of a list, of which those in quotes lose these."""
    entries = [one.strip() for one in listed.split(",")]
    return [one[1:-1] if one[:1] in {"'", '"'} and one[-1:] == one[:1] else one for one in entries]


def _parses(word: str) -> bool:
    try:
        OverridesParser.create().parse_override(word)
    except HydraException:
        return False
    return True
