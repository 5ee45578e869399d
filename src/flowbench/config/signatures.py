"""Does a mapping of plain values fit the signature of what it will be passed to?"""

import difflib
import inspect
import json
import pkgutil
import types
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticSchemaGenerationError, PydanticUndefinedAnnotation

__all__ = [
    "describe",
    "did_you_mean",
    "either",
    "fits",
    "problems_of_call",
    "problems_of_node",
    "problems_of_value",
    "show",
    "without",
]

MISSING = "???"
HYDRA_KEYS = {"_target_", "_args_", "_partial_", "_recursive_", "_convert_"}


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


def without(mapping: Mapping[str, Any], keys: set[str]) -> dict[str, Any]:
    """A mapping less some of its keys.

    Example:
        >>> without({"name": "maf", "layers": 5}, {"name"})
        {'layers': 5}
    """
    return {key: value for key, value in mapping.items() if key not in keys}


def problems_of_node(key: str, node: object, *, supplied: set[str]) -> Iterator[str]:
    """Problems of a mapping that Hydra will instantiate."""
    if not isinstance(node, dict) or not isinstance(node.get("_target_"), str):
        yield f"{key}._target_ is missing: expected the dotted name of a class or function"
        return
    try:
        target = pkgutil.resolve_name(node["_target_"])
    except Exception as error:  # whatever a foreign module does when it is imported
        way = " (pip install its package, or put its folder into PYTHONPATH)"
        way = way if isinstance(error, ModuleNotFoundError) else ""
        yield f"{key}._target_={node['_target_']}: {' '.join(str(error).split())}{way}"
        return
    if not callable(target):
        yield f"{key}._target_={node['_target_']}: expected a class or function"
        return
    yield from problems_of_call(key, target, node, supplied=supplied)
    for name, value in node.items():
        yield from _nested(f"{key}.{name}", value)


def problems_of_call(
    key: str,
    target: Callable[..., Any],
    values: Mapping[str, Any] | None,
    *,
    supplied: Iterable[str] = (),
) -> Iterator[str]:
    """Problems of calling a target with keywords, some of which flowbench itself will add."""
    parameters = _parameters(target)
    if values is None or parameters is None:
        return
    prefix = f"{key}." if key else ""
    keywords = [name for name, one in parameters.items() if one.kind is not one.VAR_KEYWORD]
    for name, value in without(values, HYDRA_KEYS).items():
        if name in supplied:
            yield f"{prefix}{name}: flowbench sets it itself; leave it out"
        elif name in keywords:
            yield from problems_of_value(prefix + name, value, parameters[name].annotation)
        elif len(keywords) == len(parameters):
            near = did_you_mean(name, keywords, prefix=prefix)
            yield f"{prefix}{name}: unknown key{near or '; known: ' + ', '.join(sorted(keywords))}"
    if "_args_" in values or values.get("_partial_"):
        return
    for name in keywords:
        given = name in values or name in supplied
        if not given and parameters[name].default is inspect.Parameter.empty:
            yield f"{prefix}{name} is missing: expected {describe(parameters[name].annotation)}"


def _parameters(target: Callable[..., Any]) -> dict[str, inspect.Parameter] | None:
    """What a target takes by keyword, with `**kwargs` if it has them; None where nobody knows."""
    try:
        signature = inspect.signature(target, eval_str=True)
    except Exception:  # an annotation that cannot be evaluated here
        try:
            signature = inspect.signature(target)
        except (TypeError, ValueError):
            return None
    closed = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.VAR_POSITIONAL)
    return {name: one for name, one in signature.parameters.items() if one.kind not in closed}


def _nested(key: str, value: object) -> Iterator[str]:
    """Problems of the nodes with a `_target_` inside a value."""
    if isinstance(value, dict) and "_target_" in value:
        yield from problems_of_node(key, value, supplied=set())
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from _nested(f"{key}.{name}", inner)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _nested(f"{key}[{index}]", inner)


def _holds_node(value: object) -> bool:
    if isinstance(value, dict):
        return "_target_" in value or any(map(_holds_node, value.values()))
    return isinstance(value, list) and any(map(_holds_node, value))


def problems_of_value(key: str, value: object, annotation: Any) -> Iterator[str]:
    """A problem if a plain value does not fit an annotation that pydantic understands."""
    if annotation is inspect.Parameter.empty or value == MISSING or _holds_node(value):
        return
    annotation = _of_plain_values(annotation)
    if not fits(value, annotation):
        near = did_you_mean(str(value), _words(annotation))
        yield f"{key}={show(value)}: expected {describe(annotation)}{near}"


def fits(value: object, annotation: Any) -> bool:
    """Whether a plain value is what an annotation says, where pydantic understands it.

    Example:
        >>> fits(1, int), fits("1", int), fits(1, Literal[2, 3])
        (True, False, False)
    """
    try:
        adapter = TypeAdapter(annotation)
    except (PydanticSchemaGenerationError, PydanticUndefinedAnnotation):
        return True
    try:  # as JSON, where strict means what it means in YAML: a list may become a tuple
        adapter.validate_json(json.dumps(value, default=str), strict=True)
    except ValidationError:
        return False
    return True


def _of_plain_values(annotation: Any) -> Any:
    """A union without the classes of flowbench, whose objects only a node makes."""
    if get_origin(annotation) not in (Union, types.UnionType):
        return annotation
    members = get_args(annotation)
    return Union[  # noqa: UP007
        tuple(m for m in members if not getattr(m, "__module__", "").startswith("flowbench."))
    ]


def show(value: object) -> str:
    """A value as a user would write it on the command line.

    Example:
        >>> show([1, "relu", None])
        '[1, relu, null]'
    """
    return value if isinstance(value, str) else json.dumps(value, default=str).replace('"', "")


def _words(annotation: Any) -> list[str]:
    """The words of all `Literal`s in an annotation."""
    if get_origin(annotation) is Literal:
        return [str(word) for word in get_args(annotation)]
    return [word for inner in get_args(annotation) for word in _words(inner)]


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
