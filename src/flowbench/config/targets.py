"""Building objects from plain values, by the rules of `hydra.utils.instantiate`."""

from collections.abc import Mapping
from functools import partial
from pkgutil import resolve_name
from typing import Any

__all__ = ["HYDRA_KEYS", "build"]

HYDRA_KEYS = {"_target_", "_args_", "_partial_", "_recursive_", "_convert_"}


def build(value: Any, **options: Any) -> Any:
    """Call the `_target_` of a mapping with its other keys as arguments, innermost first.

    It does not need Hydra, but supports its keys `_args_`, `_partial_` and `_recursive_`; lists
    and mappings are passed as such (`_convert_: all`). Values without `_target_` are unchanged.

    Args:
        value: plain values, with every `${...}` resolved.
        options: extra keywords of the outermost call, which override the mapping's own.

    Returns:
        The result of the outermost call.

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
    keywords = {key: one for key, one in value.items() if key not in HYDRA_KEYS} | options
    target = resolve_name(value["_target_"])
    if value.get("_partial_"):
        target = partial(partial, target)
    return target(*value.get("_args_", ()), **keywords)
