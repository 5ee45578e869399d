"""Types and choices in words, for sentences about what was given and expected."""

import difflib
import inspect
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

__all__ = ["describe", "did_you_mean", "either"]


def did_you_mean(word: str, choices: Iterable[str], *, prefix: str = "") -> str:
    """The end of a sentence about an unknown word: its nearest choices, prefixed, or nothing.

    Example:
        >>> did_you_mean("layer", ["layers", "seed"])
        '; did you mean layers?'
    """
    found = difflib.get_close_matches(word, list(choices), n=2)
    return f"; did you mean {either(prefix + choice for choice in found)}?" if found else ""


def either(words: Iterable[str]) -> str:
    """Words as alternatives, each once.

    Example:
        >>> either(["a", "b", "c", "b"])
        'a, b or c'
    """
    *front, last = dict.fromkeys(words)
    return f"{', '.join(front)} or {last}" if front else last


PLAIN = {int: "an integer", float: "a number", bool: "true or false", str: "text"}
PLAIN |= {type(None): "null", Path: "a path", Any: "anything"}
PLAIN |= {inspect.Parameter.empty: "a value"}
LIMITS = {"gt": "above", "ge": "at least", "lt": "below", "le": "at most"}


def describe(annotation: Any) -> str:
    """An annotation in words.

    Example:
        >>> describe(Sequence[int] | Literal["none"] | None)
        'a list (each entry an integer), none or null'
    """
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        limits = [
            limit for field in arguments[1:] for limit in getattr(field, "metadata", [field])
        ]
        words = [
            f"{word} {getattr(limit, name)}"
            for limit in limits
            for name, word in LIMITS.items()
            if hasattr(limit, name)
        ]
        return f"{describe(arguments[0])} {' and '.join(words)}".strip()
    if origin is Literal:
        return either(map(str, arguments))
    if origin in (Union, types.UnionType):
        return either(map(describe, arguments))
    if origin in (list, tuple, Sequence, Iterable):
        return f"a list (each entry {either(describe(a) for a in arguments if a is not ...)})"
    if origin in (dict, Mapping):
        return "a mapping"
    if origin is Callable:
        return "a function"
    return PLAIN.get(annotation, getattr(annotation, "__name__", str(annotation)))
