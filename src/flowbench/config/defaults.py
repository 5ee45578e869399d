"""Options that a configuration leaves out, completed from the signature of its `_target_`."""

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from flowbench.config.signatures import MISSING, parameters, target_of

__all__ = ["completed", "defaults_of"]

OURS = ("flowbench.", "hydra_plugins.flowbench_")


def completed(
    node: Mapping[str, Any], *, given: Mapping[str, Any], supplied: Iterable[str] = ()
) -> dict[str, Any]:
    """A mapping with a `_target_`, completed by all options of that class.

    Values in the mapping are kept. An option that it leaves out gets the value that the run gives
    it, else its default, else `???` (missing). Nested mappings are completed if their class is one
    of flowbench.

    Args:
        node: the mapping, as written in a file.
        given: options with values from the run, such as `{"seed": "${seed}"}`; in a class from
            elsewhere, only those without a default.
        supplied: options that flowbench passes when it builds the object; they are left out.

    Returns:
        The mapping, its options in the order of the signature.

    Example:
        >>> node = {"_target_": "flowbench.config.docstrings.summary"}
        >>> completed(node, given={})
        {'_target_': 'flowbench.config.docstrings.summary', 'target': '???'}
    """
    inside = {
        name: completed(value, given=given, supplied=supplied) if _is_ours(value) else value
        for name, value in node.items()
    }
    target = target_of(node)
    if target is None or "_args_" in node:
        return inside
    options = {} if node.get("_partial_") else dict.fromkeys(_names(target), MISSING)
    known = {name: value for name, value in given.items() if name in _names(target)}
    defaults = defaults_of(target)
    options |= known | defaults | (known if _is_ours(node) else {})
    order = [name for name in _names(target) if name in options and name not in supplied]
    head = {name: value for name, value in inside.items() if name not in order}
    return head | {name: options[name] for name in order} | inside


@cache
def defaults_of(target: Callable[..., Any]) -> dict[str, Any]:
    """The defaults in a signature, as far as YAML can express them.

    Example:
        >>> defaults_of(lambda size, *, widths=(8, 8), activation=print: ...)
        {'widths': [8, 8]}
    """
    found = {}
    for name, parameter in (parameters(target) or {}).items():
        try:
            found[name] = _plain(parameter.default)
        except TypeError:
            continue
    return found


def _names(target: Callable[..., Any]) -> list[str]:
    kept = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [name for name, one in (parameters(target) or {}).items() if one.kind in kept]


def _is_ours(node: object) -> bool:
    return isinstance(node, Mapping) and str(node.get("_target_")).startswith(OURS)


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Sequence):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    raise TypeError(f"{value!r} cannot be written in a YAML file")
