"""Constructors that hold what they are given against their signatures."""

import inspect
import types
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from operator import index
from typing import Annotated, Any, Literal, Self, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, Predicate

from flowbench.config.options import Option, inherit
from flowbench.config.words import describe, did_you_mean, either

__all__ = ["Checked", "within_limits"]

UNIONS = (Union, types.UnionType)


class Checked:
    """Refuses names that the constructor does not know, and values outside of their limits.

    The limits are those of the annotations: `Literal` words, and `Annotated` bounds such as
    `AtLeastOne`, also inside of unions and sequences. Nothing else is checked.

    Raises:
        TypeError: a name is not an option; the sentence suggests one.
        ValueError: a value is outside of its limits.

    Example:
        >>> from flowbench.config.limits import AtLeastOne
        >>> class Stack(Checked):
        ...     def __init__(self, *, layers: AtLeastOne = 5) -> None: ...
        >>> Stack(layers=0)
        Traceback (most recent call last):
        ValueError: layers=0: expected an integer at least 1
        >>> Stack(layer=1)
        Traceback (most recent call last):
        TypeError: layer is not an option of Stack; did you mean layers?
    """

    def __init_subclass__(
        cls, *, options: Mapping[str, Option] | None = None, **others: Any
    ) -> None:
        """Take the options that `**options` of the constructor stands for."""
        super().__init_subclass__(**others)
        if options is not None:
            inherit(cls, options)

    def __new__(cls, *positional: Any, **named: Any) -> Self:
        """Make an object, where all that its constructor is given is allowed."""
        limits, known = _signature(cls)
        for name, value in (dict(zip(limits, positional, strict=False)) | named).items():
            if name not in limits:
                if known is not None:
                    raise TypeError(_unknown(name, cls, known))
            elif limits[name] is not None and not within_limits(value, limits[name]):
                raise ValueError(_outside(name, value, limits[name]))
        return super().__new__(cls)


@cache
def _signature(cls: type) -> tuple[dict[str, Any], list[str] | None]:
    """The annotations with limits by parameter, and its names, None where any name will do."""
    parameters = inspect.signature(cls).parameters.values()
    limits = {
        one.name: one.annotation if _has_limits(one.annotation) else None
        for one in parameters
        if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)
    }
    return limits, None if any(one.kind is one.VAR_KEYWORD for one in parameters) else [*limits]


def _has_limits(annotation: Any) -> bool:
    return get_origin(annotation) in (Annotated, Literal) or any(
        map(_has_limits, get_args(annotation))
    )


def within_limits(value: Any, annotation: Any) -> bool:
    """Whether a value is within the limits of an annotation, and one of its words.

    Example:
        >>> from flowbench.config.limits import AtLeastOne
        >>> [within_limits(value, Sequence[AtLeastOne]) for value in ([8, 8], [8, 0], 8)]
        [True, False, False]
    """
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in UNIONS:
        return any(within_limits(value, member) for member in arguments)
    if origin is Literal:
        return isinstance(value, str) and value in arguments
    if origin is Annotated:
        number = _number(value, arguments[0])
        return number is not None and all(_allows(limit, number) for limit in arguments[1:])
    if origin is Sequence:
        listed = hasattr(value, "__len__") and not isinstance(value, str)
        return listed and all(within_limits(entry, arguments[0]) for entry in value)
    if annotation in (int, float):
        return _number(value, annotation) is not None
    return isinstance(value, annotation) if isinstance(annotation, type) else True


def _number(value: Any, kind: type) -> float | None:
    """A value as an int or float, also that of an array of one entry; None where it is neither."""
    try:
        return None if isinstance(value, str) else index(value) if kind is int else float(value)
    except (TypeError, ValueError, RuntimeError):
        return None


def _allows(limit: Any, number: float) -> bool:
    match limit:
        case Gt(gt=bound):
            return number > bound
        case Ge(ge=bound):
            return number >= bound
        case Lt(lt=bound):
            return number < bound
        case Le(le=bound):
            return number <= bound
        case Predicate(func=holds):
            return holds(number)
    return True


def _unknown(name: str, cls: type, known: list[str]) -> str:
    near = did_you_mean(name, known) or f"; its options are {', '.join(known)}"
    return f"{name} is not an option of {cls.__name__}{near}"


def _outside(name: str, value: Any, annotation: Any) -> str:
    choices = list(_choices(annotation))
    word = isinstance(value, str) and any(choice.startswith("'") for choice in choices)
    near = did_you_mean(repr(value), choices) if word else ""
    return f"{name}={value!r}{' is unknown' if word else ''}: expected {either(choices)}{near}"


def _choices(annotation: Any) -> Iterator[str]:
    """What an annotation allows, with words and None as Python writes them."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in UNIONS:
        for member in arguments:
            yield from _choices(member)
    elif origin is Literal:
        yield from map(repr, arguments)
    else:
        yield "None" if annotation is types.NoneType else describe(annotation)
