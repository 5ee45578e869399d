"""Does a value fit an annotation, limits included?"""

import operator
import types
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from numbers import Integral, Real
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from typing_extensions import TypeAliasType

__all__ = ["PLAIN", "fits", "is_too_large", "origins", "parts", "words"]

UNIONS = (Union, types.UnionType)
LISTS = (list, tuple, Sequence, Collection, Iterable)
MAPPINGS = (dict, Mapping)
BOUNDS = {"gt": operator.gt, "ge": operator.ge, "lt": operator.lt, "le": operator.le}
PLAIN: set[Any] = {Any, None, types.NoneType, bool, int, float, str, Path, *LISTS, *MAPPINGS}


def parts(annotation: Any) -> tuple[Any, tuple[Any, ...]]:
    """Origin and arguments of an annotation, behind its name if it has one.

    Example:
        >>> parts(Sequence[int])
        (<class 'collections.abc.Sequence'>, (<class 'int'>,))
    """
    while isinstance(annotation, TypeAliasType):
        annotation = annotation.__value__
    origin, arguments = get_origin(annotation), get_args(annotation)
    return (Union, arguments) if origin in UNIONS else (origin or annotation, arguments)


def fits(value: Any, annotation: Any) -> bool:
    """Whether a value is of the annotated type and within its limits.

    Whole numbers count as floats, booleans do not count as numbers. Numbers and arrays of NumPy
    and torch count as the numbers and lists of Python that they hold.

    Example:
        >>> from flowbench.config.limits import AtLeastOne
        >>> [fits(value, Sequence[AtLeastOne]) for value in ([8, 8], (8, 0), 8)]
        [True, False, False]
    """
    if hasattr(value, "tolist"):
        value = value.tolist()
    origin, arguments = parts(annotation)
    if origin is Union:
        return any(fits(value, member) for member in arguments)
    if origin is Literal:
        return any(type(value) is type(word) and value == word for word in arguments)
    if origin is Annotated:
        return fits(value, arguments[0]) and all(_allows(one, value) for one in arguments[1:])
    if origin is bool:
        return isinstance(value, bool)
    if origin in (int, float):
        number = Integral if origin is int else Real
        return isinstance(value, number) and not isinstance(value, bool)
    if origin is Path:
        return isinstance(value, str | Path)
    if origin in LISTS:
        return _fits_list(value, origin, arguments)
    if origin in MAPPINGS:
        return isinstance(value, Mapping) and all(
            fits(one, annotated)
            for item in value.items()
            for one, annotated in zip(item, arguments, strict=False)
        )
    if origin in (None, types.NoneType):
        return value is None
    if origin is Any:
        return True
    return isinstance(value, origin) if isinstance(origin, type) else True


def is_too_large(value: Any, annotation: Any) -> bool:
    """Whether a number, or one in a list, is above a limit that no description names.

    Example:
        >>> from flowbench.config.limits import AtLeastOne
        >>> [is_too_large(value, Sequence[AtLeastOne] | None) for value in ([1, 10**30], [0])]
        [True, False]
    """
    origin, arguments = parts(annotation)
    if origin is Annotated:
        limits = [limit.largest for limit in arguments[1:] if hasattr(limit, "largest")]
        number = isinstance(value, Real) and not isinstance(value, bool)
        return number and any(value >= largest for largest in limits)
    if origin is Union:
        return any(is_too_large(value, member) for member in arguments)
    if origin in LISTS and isinstance(value, list | tuple):
        return any(is_too_large(one, entry) for one in value for entry in arguments)
    return False


def _fits_list(value: Any, origin: Any, entries: tuple[Any, ...]) -> bool:
    if not isinstance(value, Sequence | set | frozenset) or isinstance(value, str | bytes):
        return False
    if origin is tuple and entries and entries[-1] is not ...:
        return len(value) == len(entries) and all(map(fits, value, entries))
    return not entries or all(fits(entry, entries[0]) for entry in value)


def _allows(limit: Any, number: Any) -> bool:
    """Whether a number keeps to a bound or predicate of `annotated_types`."""
    bounds = [(compare, getattr(limit, name, None)) for name, compare in BOUNDS.items()]
    holds = getattr(limit, "func", None)
    kept = all(bound is None or compare(number, bound) for compare, bound in bounds)
    return kept and (holds is None or holds(number))


def origins(annotation: Any) -> set[Any]:
    """The types that an annotation is made of, `Annotated` and `Literal` included.

    Example:
        >>> origins(Sequence[int] | None) == {Sequence, int, type(None)}
        True
    """
    origin, arguments = parts(annotation)
    if origin in (Literal, Callable):
        return {origin}
    inner = arguments[:1] if origin is Annotated else arguments
    found = {one for argument in inner if argument is not ... for one in origins(argument)}
    return found if origin is Union else found | {origin}


def words(annotation: Any) -> list[Any]:
    """The words of all `Literal`s and `OneOf`s in an annotation.

    Example:
        >>> words(Sequence[Literal["a", "b"]] | None)
        ['a', 'b']
    """
    origin, arguments = parts(annotation)
    if origin is Literal:
        return list(arguments)
    if origin is Annotated:
        return [word for limit in arguments[1:] for word in getattr(limit, "words", [])]
    return [word for inner in arguments for word in words(inner)]
