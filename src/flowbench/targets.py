"""Objects from the plain values that describe them, by the rule of `hydra.utils.instantiate`."""

from collections.abc import Mapping
from functools import partial
from pkgutil import resolve_name
from typing import Any

__all__ = ["build"]

OF_THE_RULE = {"_target_", "_args_", "_partial_", "_recursive_", "_convert_"}


def build(value: Any, **options: Any) -> Any:
    """Call what `_target_` names with the other keys of a mapping, the innermost first.

    It does without Hydra, but takes its keys `_args_`, `_partial_` and `_recursive_`; lists and
    mappings are passed as such (`_convert_: all`). What has no `_target_` stays as it is.

    Args:
        value: plain values, in which every `${...}` is replaced.
        options: further keywords of the outermost call, which win over the mapping's own.

    Returns:
        What the outermost call returns.

    Raises:
        ImportError: there is no such module.
        AttributeError: the module has no such name.

    Example:
        >>> build({"_target_": "fractions.Fraction", "numerator": 3}, denominator=4)
        Fraction(3, 4)
    """
    if isinstance(value, list | tuple):
        return [build(one) for one in value]
    if not isinstance(value, Mapping):
        return value
    if value.get("_recursive_", True):
        value = {key: build(one) for key, one in value.items()}
    if "_target_" not in value:
        return dict(value)
    keywords = {key: one for key, one in value.items() if key not in OF_THE_RULE} | options
    target = resolve_name(value["_target_"])
    if value.get("_partial_"):
        target = partial(partial, target)
    return target(*value.get("_args_", ()), **keywords)
