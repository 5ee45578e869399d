"""What a `_target_` takes by keyword, and the problems of a call with given keywords."""

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from pkgutil import resolve_name
from typing import Annotated, Any, Literal, Union

from flowbench.config.annotations import PLAIN, fits, is_too_large, origins, parts, words
from flowbench.config.combinations import conflicts
from flowbench.config.targets import HYDRA_KEYS
from flowbench.config.words import describe, did_you_mean, near_or_all, show

__all__ = [
    "MISSING",
    "parameters",
    "problems_of_call",
    "problems_of_node",
    "problems_of_value",
    "target_of",
    "without",
]

MISSING = "???"


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
        target = resolve_name(node["_target_"])
    except Exception as error:  # importing foreign code may raise anything
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
    """Problems of calling a target with keywords; flowbench adds those that are `supplied`."""
    options = parameters(target)
    if values is None or options is None:
        return
    found = list(_problems_of_each(key, values, options, supplied))
    yield from found
    if not found:
        prefix = f"{key}." if key else ""
        defaults = {name: one.default for name, one in options.items()}
        given = without(values, HYDRA_KEYS)
        yield from (prefix + problem for problem in conflicts(target, defaults | given))


def _problems_of_each(
    key: str,
    values: Mapping[str, Any],
    options: Mapping[str, inspect.Parameter],
    supplied: Iterable[str],
) -> Iterator[str]:
    prefix = f"{key}." if key else ""
    keywords = [name for name, one in options.items() if one.kind is not one.VAR_KEYWORD]
    for name, value in without(values, HYDRA_KEYS).items():
        if name in supplied:
            yield f"{prefix}{name}: flowbench sets it itself; leave it out"
        elif name in keywords:
            yield from problems_of_value(prefix + name, value, options[name].annotation)
        elif len(keywords) == len(options):
            yield f"{prefix}{name}: unknown key{near_or_all(name, keywords, prefix=prefix)}"
    if "_args_" in values or values.get("_partial_"):
        return
    for name in keywords:
        given = name in values or name in supplied
        if not given and options[name].default is inspect.Parameter.empty:
            yield f"{prefix}{name} is missing: expected {describe(options[name].annotation)}"


def target_of(node: Mapping[str, Any]) -> Callable[..., Any] | None:
    """The class or function that a mapping names; None if it cannot be imported."""
    try:
        target = resolve_name(node["_target_"])
    except Exception:  # importing foreign code may raise anything; the check reports it
        return None
    return target if callable(target) else None


def parameters(target: Callable[..., Any]) -> dict[str, inspect.Parameter] | None:
    """The parameters that can be given by keyword, `**kwargs` included; None: no signature."""
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
    """The problem, if any, of a plain value that does not fit an annotation."""
    if annotation is inspect.Parameter.empty or value == MISSING or _holds_node(value):
        return
    annotation = _of_plain_values(annotation)
    if all(_is_judged(one) for one in origins(annotation)) and not fits(value, annotation):
        near = did_you_mean(str(value), map(str, words(annotation)))
        what = " is too large" if is_too_large(value, annotation) else ""
        yield f"{key}={show(value)}{what}: expected {describe(annotation)}{near}"


def _of_plain_values(annotation: Any) -> Any:
    """A union without the classes of flowbench, which a plain value never is."""
    origin, members = parts(annotation)
    plain = tuple(member for member in members if not _is_of_flowbench(member))
    return Union[plain] if origin is Union and plain else annotation  # noqa: UP007


def _is_judged(origin: Any) -> bool:
    """Whether it is known which plain values fit a type; for classes of others it is not."""
    return origin in {*PLAIN, Annotated, Literal, Callable} or _is_of_flowbench(origin)


def _is_of_flowbench(annotation: Any) -> bool:
    return isinstance(annotation, type) and annotation.__module__.startswith("flowbench.")
