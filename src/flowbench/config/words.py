"""Values, types and suggestions in words, for sentences about what was given and expected."""

import difflib
import inspect
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Union

from flowbench.config.annotations import LISTS, MAPPINGS, parts
from flowbench.config.synonyms import SYNONYMS

__all__ = [
    "describe",
    "did_you_mean",
    "either",
    "near_or_all",
    "nearest",
    "same_elsewhere",
    "show",
]


def same_elsewhere(word: str, choices: Iterable[str]) -> list[str]:
    """The choices that other libraries call by this word.

    Example:
        >>> same_elsewhere("lr", ["layers", "learning_rate"])
        ['learning_rate']
    """
    known = set(choices)
    return [ours for ours in SYNONYMS.get(word, []) if ours.partition("=")[0] in known]


def nearest(word: str, choices: Iterable[str], *, n: int = 2, cutoff: float = 0.6) -> list[str]:
    """The choices most like a word, in upper or lower case.

    Example:
        >>> nearest("ELU", ["relu", "elu", "tanh"], n=1)
        ['elu']
    """
    by_case: dict[str, list[str]] = {}
    for choice in choices:
        by_case.setdefault(choice.lower(), []).append(choice)
    close = difflib.get_close_matches(word.lower(), by_case, n=n, cutoff=cutoff)
    exact = close[:1] if close and close[0] == word.lower() else close
    return [choice for one in exact for choice in by_case[one]][:n]


def did_you_mean(word: str, choices: Iterable[str], *, prefix: str = "") -> str:
    """The end of a sentence about an unknown word: its nearest choices, prefixed, or nothing.

    Example:
        >>> did_you_mean("layer", ["layers", "seed"])
        '; did you mean layers?'
    """
    known = list(choices)
    same = same_elsewhere(word, known)
    found = [one.partition("=")[0] for one in same] if prefix else same
    found = found or nearest(word, known)
    return f"; did you mean {either(prefix + choice for choice in found)}?" if found else ""


def near_or_all(word: str, choices: Iterable[str], *, prefix: str = "") -> str:
    """The end of a sentence about an unknown word: its nearest choices, or else all of them.

    Example:
        >>> near_or_all("zzz", ["seed", "layers"])
        '; known: layers, seed'
    """
    known = sorted(choices)
    return did_you_mean(word, known, prefix=prefix) or f"; known: {', '.join(known)}"


def either(words: Iterable[str]) -> str:
    """Words as alternatives, each once.

    Example:
        >>> either(["a", "b", "c", "b"])
        'a, b or c'
    """
    *front, last = dict.fromkeys(words)
    return f"{', '.join(front)} or {last}" if front else last


def show(value: object) -> str:
    """A value as a user would write it on the command line.

    Example:
        >>> show([1, "relu", None])
        '[1, relu, null]'
    """
    return value if isinstance(value, str) else json.dumps(value, default=str).replace('"', "")


NAMES: dict[Any, str] = {int: "an integer", float: "a number", str: "text"}
NAMES |= {type(None): "null", Path: "a path", Any: "anything", Callable: "a function"}
NAMES |= {inspect.Parameter.empty: "a value"}
LIMITS = {"gt": "above", "ge": "at least", "lt": "below", "le": "at most"}


def describe(annotation: Any, *, python: bool = False) -> str:
    """An annotation in words.

    Args:
        annotation: as `inspect.signature` gives it.
        python: write words and None as Python does, not as YAML does.

    Example:
        >>> from collections.abc import Sequence
        >>> describe(Sequence[int] | Literal["none"] | None)
        'a list (each entry an integer), none or null'
    """
    return either(_alternatives(annotation, python=python))


def _alternatives(annotation: Any, *, python: bool) -> Iterator[str]:
    origin, arguments = parts(annotation)
    if origin is Union:
        for member in arguments:
            yield from _alternatives(member, python=python)
    elif origin is Literal:
        yield from map(repr if python else str, arguments)
    elif origin is Annotated:
        base, *limits = arguments
        if named := [word for limit in limits for word in getattr(limit, "words", [])]:
            yield from map(repr, named) if python else named
            return
        yield f"{describe(base, python=python)} {' and '.join(_bounds(limits))}".strip()
    elif origin in LISTS and arguments:
        entries = (describe(one, python=python) for one in arguments if one is not ...)
        yield f"a list (each entry {either(entries)})"
    elif origin in (*LISTS, *MAPPINGS):
        yield "a list" if origin in LISTS else "a mapping"
    elif origin is bool:
        yield from ("True", "False") if python else ("true", "false")
    else:
        names = NAMES | {type(None): "None"} if python else NAMES
        yield names.get(origin, getattr(origin, "__name__", str(origin)))


def _bounds(limits: Iterable[Any]) -> list[str]:
    bounds = [
        f"{word} {getattr(limit, name)}"
        for limit in limits
        for name, word in LIMITS.items()
        if hasattr(limit, name)
    ]
    return bounds + [limit.told for limit in limits if hasattr(limit, "told")]
