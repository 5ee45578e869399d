"""Plain values from a file, checked against the types that they should have."""

import math
import types
from collections.abc import Mapping
from typing import (
    Any,
    Literal,
    NotRequired,
    Required,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

__all__ = ["LARGEST", "is_text", "problem"]

LARGEST = 1e100  # sums and squares of such numbers are finite
WORDS: dict[Any, str] = {
    int: "a whole number",
    float: "a finite number",
    str: "text",
    bool: "true or false",
}
WORDS |= {types.NoneType: "null"}


def problem(value: object, kind: Any, name: str = "") -> str | None:
    """What is wrong with a value, or None.

    Args:
        value: plain: numbers, text, lists, mappings, None.
        kind: `int`, `float` (finite, below 1e100), `str`, `bool`, None, `Any`, `Literal[…]`,
            `list[…]`, `dict[str, …]`, unions of these, or a `TypedDict`, whose values may have
            further keys.
        name: of the value.

    Example:
        >>> from typing import TypedDict
        >>> class Score(TypedDict):
        ...     mean: float
        ...     error: NotRequired[float | None]
        >>> problem({"mean": 1, "error": None}, Score)
        >>> problem({"test": {"mean": float("nan")}}, dict[str, Score])
        'test.mean is nan, expected a finite number'
        >>> problem({}, Score)
        'mean is missing'
    """
    if kind is Any:
        return None
    if is_typeddict(kind):
        return _wrong_type(value, dict, "a mapping", name) or _of_keys(value, kind, name)
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Literal:
        return None if value in inner and isinstance(value, str) else _sentence(value, kind, name)
    if origin in (Union, types.UnionType):
        problems = [problem(value, one, name) for one in inner]
        if None in problems:
            return None
        deeper = [one for one in inner if get_origin(one) or is_typeddict(one)]
        if len(deeper) == 1 and isinstance(value, (get_origin(deeper[0]) or dict)):
            return problem(value, deeper[0], name)
        return _sentence(value, kind, name)
    if origin is list:
        items = enumerate(value) if isinstance(value, list | tuple) else ()
        wrong = _wrong_type(value, (list, tuple), "a list", name)
        return wrong or _first(problem(one, inner[0], f"{name}[{i}]") for i, one in items)
    if origin is dict:
        pairs = value.items() if isinstance(value, Mapping) else ()
        return _wrong_type(value, dict, "a mapping", name) or _first(
            problem(key, str, f"a key of {name or 'the file'}")
            or problem(one, inner[1], _dotted(name, key))
            for key, one in pairs
        )
    return None if _fits(value, kind) else _sentence(value, kind, name)


def _of_keys(value: Any, kind: Any, name: str) -> str | None:
    optional = kind.__optional_keys__
    for key, expected in get_type_hints(kind, include_extras=True).items():
        if get_origin(expected) in (Required, NotRequired):
            [expected] = get_args(expected)
        if key in value:
            wrong = problem(value[key], expected, _dotted(name, key))
        else:
            wrong = None if key in optional else f"{_dotted(name, key)} is missing"
        if wrong:
            return wrong
    return None


def _fits(value: object, kind: Any) -> bool:
    if kind is float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        return abs(value) <= LARGEST  # NaN is not
    if kind is int:
        return type(value) is int and abs(value) < 2**63
    if kind is str:
        return is_text(value)
    return value is None if kind in (None, types.NoneType) else isinstance(value, kind)


def is_text(value: object) -> bool:
    r"""Whether a value is text that can be written in UTF-8.

    Example:
        >>> is_text("naïve"), is_text("\ud800"), is_text(1)
        (True, False, False)
    """
    try:
        return isinstance(value, str) and value.encode() is not None
    except UnicodeEncodeError:
        return False


def _wrong_type(value: object, kind: Any, words: str, name: str) -> str | None:
    return (
        None if isinstance(value, kind) else f"{_named(name)} is {_shown(value)}, expected {words}"
    )


def _sentence(value: object, kind: Any, name: str) -> str:
    return f"{_named(name)} is {_shown(value)}, expected {_words(kind)}"


def _words(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return " or ".join(map(repr, get_args(kind)))
    if get_origin(kind) in (Union, types.UnionType):
        return " or ".join(_words(one) for one in get_args(kind))
    if get_origin(kind) is list:
        return "a list"
    return WORDS.get(kind, "a mapping")


def _first(problems: Any) -> str | None:
    return next(filter(None, problems), None)


def _dotted(name: str, key: object) -> str:
    return f"{name}.{key}".lstrip(".")[:200]


def _named(name: str) -> str:
    return name or "the whole"


def _shown(value: object) -> str:
    """A value in a sentence, shortened."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > 2**63:
        return "a number of too many digits"
    if isinstance(value, Mapping | list | tuple):
        return f"a {'mapping' if isinstance(value, Mapping) else 'list'} of {len(value)}"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, float) and math.isnan(value):
        return "nan"
    text = ascii(value) if isinstance(value, str) and not is_text(value) else repr(value)
    return text if len(text) <= 40 else f"{text[:36]}…{text[-1]}"
