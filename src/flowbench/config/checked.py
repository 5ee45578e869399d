"""Constructors that hold what they are given against their signatures."""

import inspect
import operator
import types
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import wraps
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from flowbench.config.options import Option, inherit
from flowbench.config.words import describe, did_you_mean, either

__all__ = ["Checked", "within_limits"]

UNIONS = (Union, types.UnionType)
CONVERSIONS: Mapping[Any, Callable[[Any], Any]] = {int: operator.index, float: float}
BOUNDS = {"gt": operator.gt, "ge": operator.ge, "lt": operator.lt, "le": operator.le}


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
        if "__init__" in vars(cls):
            cls.__init__ = _checked(cls.__name__, cls.__init__)


def _checked(name: str, constructor: Callable[..., None]) -> Callable[..., None]:
    """A constructor behind a check of what it is given."""
    _, *parameters = inspect.signature(constructor).parameters.values()
    takes_any = any(one.kind is one.VAR_KEYWORD for one in parameters)
    annotations = {
        one.name: one.annotation if _has_limits(one.annotation) else Any
        for one in parameters
        if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)
    }

    @wraps(constructor)
    def checked(self: object, *positional: Any, **named: Any) -> None:
        for option, value in (dict(zip(annotations, positional, strict=False)) | named).items():
            if option in annotations:
                if not within_limits(value, annotations[option]):
                    raise ValueError(_outside(option, value, annotations[option]))
            elif not takes_any:
                raise TypeError(_unknown(option, name, annotations))
        constructor(self, *positional, **named)

    return checked


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
        return any(isinstance(value, type(word)) and value == word for word in arguments)
    if origin is Annotated:
        return within_limits(value, arguments[0]) and all(
            _allows(limit, value) for limit in arguments[1:]
        )
    if origin is Sequence:
        listed = hasattr(value, "__len__") and not isinstance(value, str)
        return listed and all(within_limits(entry, arguments[0]) for entry in value)
    if annotation in CONVERSIONS:
        return _converts(value, CONVERSIONS[annotation])
    if annotation is Any or not isinstance(annotation, type):
        return True
    return isinstance(value, annotation)


def _converts(value: Any, convert: Callable[[Any], Any]) -> bool:
    """Whether a value is a number of a type, or an array of one such."""
    try:
        convert(value)
    except (TypeError, ValueError, RuntimeError):
        return False
    return not isinstance(value, str)


def _allows(limit: Any, number: Any) -> bool:
    """Whether a number keeps to a bound or predicate of `annotated_types`."""
    bounds = [(compare, getattr(limit, name, None)) for name, compare in BOUNDS.items()]
    holds = getattr(limit, "func", None)
    kept = all(bound is None or compare(number, bound) for compare, bound in bounds)
    return kept and (holds is None or holds(number))


def _unknown(option: str, name: str, known: Collection[str]) -> str:
    near = did_you_mean(option, known) or f"; its options are {', '.join(known)}"
    return f"{option} is not an option of {name}{near}"


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
