"""Values of options, drawn from their types and limits, and hostile ones."""

import random
from collections.abc import Callable
from types import NoneType
from typing import Annotated, Any, Literal, Union

from flowbench.config.annotations import LISTS, MAPPINGS, fits, parts

__all__ = ["HOSTILE", "drawn", "written"]

# As written on the command line.
HOSTILE = [
    *("nan", "inf", "-inf", "-1", "0", "-0.0", "1.5", "1e99", "1e400", "2", "9" * 12, "9" * 30),
    *("null", "true", "''", "' '", "???", "abc", "relu", "ünï", "日本", "~/x", "a=b", "a b"),
    *("[]", "[1,2]", "[[1]]", "[a]", "[null]", "[nan]", "{}", "{a:1}", "{a:{b:[c]}}", "[-1]"),
    *("${seed}", "${nothing}", "${oc.env:NOTHING}", "${", "[1", "{a", "'", '"', "\\", "a,b"),
    *("{_target_:nothing.Here}", "{_target_:builtins.print}", "{_target_:3}", "../x", "a:b"),
    *("x" * 300, "0x10", "1_000", "1e-400", "a@b", "%s", "{{x}}", "\x01", "\n", "🙂", "-"),
    *("+1", "/dev/null"),
]
INTEGERS = [-1, 0, 1, 2, 3, 5, 8]
NUMBERS = [-1.0, 0.0, 1e-6, 0.1, 0.5, 0.9, 1.0, 3.0]


def drawn(annotation: Any, rng: random.Random) -> Any:
    """A value that fits an annotation, small where it is a size; None if none is found."""
    for _ in range(20):
        value = _draw(annotation, rng)
        if fits(value, annotation):
            return value
    return None


def _draw(annotation: Any, rng: random.Random) -> Any:
    origin, arguments = parts(annotation)
    if origin is Union:
        return _draw(rng.choice(arguments), rng)
    if origin is Literal:
        return rng.choice(arguments)
    if origin is Annotated:
        words = [word for limit in arguments[1:] for word in getattr(limit, "words", [])]
        return rng.choice(words) if words else _draw(arguments[0], rng)
    if origin in LISTS:
        return [_draw(arguments[0], rng) if arguments else 1 for _ in range(rng.randint(0, 2))]
    if origin in MAPPINGS:
        return {}
    simple: dict[Any, Callable[[], Any]] = {
        bool: lambda: rng.random() < 0.5,
        int: lambda: rng.choice(INTEGERS),
        float: lambda: rng.choice(NUMBERS),
        str: lambda: rng.choice(["x", "00:00:01:00", "a b"]),
    }
    return simple[origin]() if origin in simple else None if origin is NoneType else "x"


def written(value: Any) -> str:
    """A value in Hydra's grammar.

    Example:
        >>> written([1, None, "a b", True])
        "[1,null,'a b',true]"
    """
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, list):
        return f"[{','.join(map(written, value))}]"
    if isinstance(value, dict):
        return f"{{{','.join(f'{key}:{written(one)}' for key, one in value.items())}}}"
    return f"'{value}'" if isinstance(value, str) and not value.isidentifier() else str(value)
