"""A function that takes the fields of a dataclass as keywords: said once, visible in both."""

import functools
import inspect
import re
from collections.abc import Callable
from dataclasses import fields
from typing import Any, TypeVar, cast

from flowbench.config.signatures import did_you_mean

__all__ = ["with_fields_of"]

F = TypeVar("F", bound=Callable[..., Any])


def with_fields_of(cls: type, **defaults: Any) -> Callable[[F], F]:
    """Give a function that ends in `**options` the fields of a dataclass as keywords.

    Its signature then has them with their types and defaults, its docstring with their meanings;
    an unknown keyword is refused, and the function itself is given all of them.

    Args:
        cls: the dataclass; every field has a default and an entry under Args.
        defaults: those that differ from the dataclass.

    Example:
        >>> from flowbench.config.settings import Training
        >>> @with_fields_of(Training, patience=None)
        ... def fit(x, **options):
        ...     return options["noise"], options["patience"]
        >>> fit(1, noise=0.5)
        (0.5, None)
        >>> inspect.signature(fit).parameters["batch_size"].default
        256
        >>> fit(1, learning_rat=0.1)
        Traceback (most recent call last):
        TypeError: learning_rat is not an option of fit; did you mean learning_rate?
    """
    options = {one.name: defaults.get(one.name, one.default) for one in fields(cls)}

    def decorate(function: F) -> F:
        signature = inspect.signature(function)
        own = list(signature.parameters.values())[:-1]
        known = [*(one.name for one in own), *options]

        @functools.wraps(function)
        def wrapped(*positional: Any, **named: Any) -> Any:
            for name in named:
                if name not in known:
                    near = did_you_mean(name, known)
                    raise TypeError(f"{name} is not an option of {function.__name__}{near}")
            return function(*positional, **(options | named))

        added = [
            inspect.Parameter(one.name, inspect.Parameter.KEYWORD_ONLY, default=options[one.name],
                              annotation=one.type)
            for one in fields(cls)
        ]  # fmt: skip
        wrapped.__signature__ = signature.replace(parameters=[*own, *added])  # type: ignore[attr-defined]
        wrapped.__doc__ = _with_entries(function, cls)
        return cast(F, wrapped)

    return decorate


def _with_entries(function: Callable[..., Any], cls: type) -> str:
    """The docstring of the function, with the Args of the class after its own."""
    text = inspect.getdoc(function) or ""
    section = re.search(r"Args:\n((?:    .*\n?)+)", inspect.getdoc(cls) or "")
    assert section is not None
    entries = section[1].rstrip()
    return re.sub(r"Args:\n(?:    .*\n)+", lambda own: f"{own[0]}{entries}\n", text, count=1)
