"""Calls whose arguments are checked against the names and annotations of the signature."""

import inspect
from collections.abc import Callable, Iterator, Mapping
from functools import wraps
from typing import Annotated, Any, ClassVar, Literal, NoReturn, TypeVar, cast

from flowbench.config.accepted import Accepted
from flowbench.config.annotations import PLAIN, fits, is_too_large, origins, words
from flowbench.config.combinations import conflicts
from flowbench.config.docstrings import meanings, with_meanings
from flowbench.config.options import Option, add_options
from flowbench.config.signatures import parameters
from flowbench.config.words import describe, did_you_mean

__all__ = ["Checked", "takes"]

F = TypeVar("F", bound=Callable[..., Any])


class Checked:
    """Its constructors refuse unknown names, and values that do not fit their annotations.

    An annotation counts if it consists of plain types (numbers, text, paths, lists, mappings), or
    if it has limits: words in a `Literal`, or bounds in an `Annotated`, such as `AtLeastOne`.

    A class may tell which values exclude each other in a class method `conflicts(options)`, which
    yields sentences (`combinations.conflicts`), and list in `needs` the options that act only
    where another option has a certain value (`combinations.idle`).

    The class keyword `options` says which options the `**options` of a constructor stand for; a
    class without a constructor of its own has those of its parent.

    All mistakes of a call are told together, one line for each.

    Raises:
        TypeError: a name is not an option (the sentence suggests one), an option that has no
            default is missing, or too many are given without their names.
        ValueError: only values do not fit.

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
        >>> Stack(3)
        Traceback (most recent call last):
        TypeError: Stack takes no option by position, but 1 value is given: name it, as in layers=…
    """

    def __init_subclass__(
        cls, *, options: Mapping[str, Option] | None = None, **others: Any
    ) -> None:
        """Check the constructor, and complete signature and docstring."""
        super().__init_subclass__(**others)
        if "__init__" in vars(cls):
            if options is not None:
                add_options(cls.__init__, options)
            constructed: Any = cls  # no declaration of __init__ for type checkers
            constructed.__init__ = _checked_constructor(cls, cls.__init__)
        if options is not None or "__init__" not in vars(cls):
            _explain(cls, options or {})

    needs: ClassVar[Mapping[str, Mapping[str, Any]]] = {}

    @classmethod
    def _refuse(cls, problems: list[str]) -> NoReturn:
        """Raise the error about arguments that do not fit."""
        raise ValueError("\n".join(problems))


def takes(options: Mapping[str, Option]) -> Callable[[F], F]:
    """Give a function the options that its `**options` stands for, and check its arguments.

    Example:
        >>> from flowbench.config.options import options_of
        >>> from flowbench.config.settings import Training
        >>> @takes(options_of(Training, without=["patience"]))
        ... def fit(x, **training):
        ...     return training
        >>> fit(1, noise=0.5)
        {'noise': 0.5}
        >>> fit(1, learning_rat=0.1)
        Traceback (most recent call last):
        TypeError: learning_rat is not an option of fit; did you mean learning_rate?
    """

    def decorate(function: F) -> F:
        add_options(function, options)
        _explain(function, options)
        problems_of = _check(function.__name__, function)

        @wraps(function)
        def checked(*positional: Any, **named: Any) -> Any:
            if problems := problems_of(positional, named):
                raise ValueError("\n".join(problems))
            return function(*positional, **named)

        return cast(F, checked)

    return decorate


def _checked_constructor(
    owner: type[Checked], constructor: Callable[..., None]
) -> Callable[..., None]:
    problems_of = _check(owner.__name__, constructor, owner)

    @wraps(constructor)
    def checked(self: Checked, *positional: Any, **named: Any) -> None:
        if problems := problems_of((self, *positional), named):
            self._refuse(problems)
        constructor(self, *positional, **named)

    return checked


def _check(
    name: str, function: Callable[..., Any], owner: Any = None
) -> Callable[[tuple[Any, ...], Mapping[str, Any]], list[str]]:
    """A check of the arguments of a function, or of the constructor of an owner."""
    signature = inspect.signature(function)
    accepted = Accepted(name, list(signature.parameters.values()))
    defaults = {
        one.name: one.default
        for one in signature.parameters.values()
        if one.default is not one.empty
    }
    annotations = {
        option: parameter.annotation
        for option, parameter in (parameters(function) or {}).items()
        if option in accepted.order and _counts(parameter.annotation)
    }

    def problems_of(positional: tuple[Any, ...], named: Mapping[str, Any]) -> list[str]:
        given = accepted.by_name(positional) | dict(named)
        misfits = list(_misfits(given, annotations))
        if misnamed := list(accepted.problems(positional, named)):
            raise TypeError("\n".join(misnamed + misfits))
        return misfits or list(conflicts(owner, defaults | given))

    return problems_of


def _counts(annotation: Any) -> bool:
    found = origins(annotation)
    return found <= PLAIN or not found.isdisjoint((Annotated, Literal))


def _misfits(given: Mapping[str, Any], annotations: Mapping[str, Any]) -> Iterator[str]:
    for name, annotation in annotations.items():
        if name in given and not fits(given[name], annotation):
            yield _misfit(name, given[name], annotation)


def _misfit(name: str, value: Any, annotation: Any) -> str:
    shown: Any = value.tolist() if hasattr(value, "tolist") else value
    known = [repr(word) for word in words(annotation) if isinstance(word, str)]
    unknown = isinstance(value, str) and bool(known)
    near = did_you_mean(repr(value), known) if unknown else ""
    expected = describe(annotation, python=True)
    what = " is unknown" if unknown else " is too large" if is_too_large(shown, annotation) else ""
    return f"{name}={shown!r}{what}: expected {expected}{near}"


def _explain(target: Any, options: Mapping[str, Option]) -> None:
    """Let the docstring explain all parameters, in their order."""
    known = {name: option.meaning for name, option in options.items()} | meanings(target)
    shown = {name: known[name] for name in parameters(target) or {} if name in known}
    if shown and target.__doc__:
        target.__doc__ = with_meanings(target.__doc__, shown)
