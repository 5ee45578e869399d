"""Options that fit by themselves, but not together, or that have no effect together.

A class says which: `conflicts` yields sentences about values that exclude each other, and `needs`
says which options act only where another one has a certain value.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from flowbench.config.words import show

__all__ = ["ANY", "conflicts", "idle"]

ANY = object()  # whatever is neither null, false, zero nor empty


def conflicts(target: Callable[..., Any], options: Mapping[str, Any]) -> Iterator[str]:
    """Sentences about options that exclude each other, as the class of the options tells them.

    Args:
        target: a class; one that has `conflicts` tells those of its own constructor.
        options: all of them, each of which fits by itself.
    """
    for one in inspect.getmro(target) if inspect.isclass(target) else ():
        if "__init__" in vars(one):
            return one.conflicts(options) if "conflicts" in vars(one) else iter(())
    return iter(())


def idle(
    target: Callable[..., Any],
    options: Mapping[str, Any],
    defaults: Mapping[str, Any],
    *,
    prefix: str = "",
) -> Iterator[str]:
    """Sentences about options that are set, but have no effect because of another option.

    Args:
        target: a class; its `needs` maps an option to the options that it needs, with their
            values.
        options: those that are given.
        defaults: of all options.
        prefix: before the names of the options in the sentences.

    Example:
        >>> class Flow:
        ...     needs = {"dropout": {"hidden_units": ANY}}
        >>> list(idle(Flow, {"dropout": 0.5, "hidden_units": []}, {"dropout": 0.0}))
        ['dropout=0.5 has no effect with hidden_units=[]']
    """
    known = {**defaults, **options}
    for name, needed in getattr(target, "needs", {}).items():
        if name not in options or options[name] == defaults.get(name):
            continue
        for other, wanted in needed.items():
            value = known.get(other)
            if not value if wanted is ANY else value != wanted:
                yield (
                    f"{prefix}{name}={show(options[name])} has no effect with "
                    f"{prefix}{other}={show(value)}"
                )
