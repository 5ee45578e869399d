"""A derived class states only the options in which it differs from its parent."""

import functools
import inspect
import re
import textwrap
from collections.abc import Callable, Collection, Iterable, Mapping
from inspect import Parameter
from typing import Any, TypeVar

__all__ = ["inherits_options", "meanings"]

Class = TypeVar("Class", bound=type)
SECTION = re.compile(r"(Attributes|Returns|Raises|References?|Examples?|Notes?):$")
WIDTH = 99


def inherits_options(
    *, without: Collection[str] = (), **defaults: Any
) -> Callable[[Class], Class]:
    """Complete the constructor of a derived class with the options of its parent.

    The class takes all options of its parent besides its own; `inspect.signature` and `help` show
    all of them with types, defaults and meanings. A constructor of its own ends with `**options`,
    which it passes on: `super().__init__(**options)`. Other names are refused.

    Args:
        without: options of the parent that the class does not take.
        **defaults: options of the parent that have another default in this class.

    Raises:
        TypeError: the parent has no option of such a name.

    Example:
        >>> class Clips:
        ...     '''Sound.
        ...
        ...     Args:
        ...         rate: in Hz.
        ...         seconds: length of a clip.
        ...     '''
        ...     def __init__(self, *, rate: int = 16_000, seconds: float = 1.0) -> None:
        ...         self.rate = rate
        >>> @inherits_options(without={"seconds"}, rate=8_000)
        ... class Digits(Clips):
        ...     '''Spoken digits.'''
        >>> inspect.signature(Digits), Digits().rate
        (<Signature (*, rate: int = 8000) -> None>, 8000)
        >>> print(Digits.__doc__)
        Spoken digits.
        <BLANKLINE>
        Args:
            rate: in Hz.
    """

    def complete(cls: Class) -> Class:
        parent = cls.__mro__[1]
        inherited = dict(inspect.signature(parent, eval_str=True).parameters)
        if unknown := [name for name in (*without, *defaults) if name not in inherited]:
            raise TypeError(f"{cls.__name__}: {parent.__name__} has no option {unknown[0]}")
        changed = {name: inherited[name].replace(default=one) for name, one in defaults.items()}
        kept = {name: one for name, one in inherited.items() if name not in without} | changed
        own = _own_options(cls)
        options = own | {name: one for name, one in kept.items() if name not in own}
        type.__setattr__(cls, "__init__", _constructor(cls, options, defaults))
        cls.__doc__ = _completed(cls.__doc__, meanings(parent.__doc__), options)
        return cls

    return complete


def meanings(docstring: str | None) -> dict[str, str]:
    """The meaning of each argument, from the section Args of a Google-style docstring.

    Example:
        >>> meanings('''Cut.
        ...
        ... Args:
        ...     low, high: bounds,
        ...         in Hz.
        ... ''')
        {'low': 'bounds, in Hz.', 'high': 'bounds, in Hz.'}
    """
    _, lines, _ = _around_args(docstring)
    found: dict[str, str] = {}
    names: list[str] = []
    for line in lines:
        if head := re.match(r" {4}([\w*][\w*, ]*):", line):
            names, line = re.findall(r"\w+", head[1]), line[head.end() :]
        for name in names:
            found[name] = f"{found.get(name, '')} {line.strip()}".strip()
    return found


def _own_options(cls: type) -> dict[str, Parameter]:
    if "__init__" not in vars(cls):
        return {}
    _, *own = inspect.signature(vars(cls)["__init__"], eval_str=True).parameters.values()
    return {one.name: one for one in own if one.kind is not Parameter.VAR_KEYWORD}


def _constructor(
    cls: type, options: Mapping[str, Parameter], defaults: Mapping[str, Any]
) -> Callable[..., None]:
    """The `__init__` of a class, for just these options."""
    original = cls.__init__

    @functools.wraps(original)
    def __init__(self: Any, *positional: Any, **named: Any) -> None:
        for name in named:
            if name not in options:
                from flowbench.config.signatures import did_you_mean

                near = did_you_mean(name, options)
                raise TypeError(f"{name} is not an option of {cls.__name__}{near}")
        original(self, *positional, **{**defaults, **named})

    first = Parameter("self", Parameter.POSITIONAL_OR_KEYWORD)
    ordered = sorted([first, *options.values()], key=lambda one: one.kind)
    vars(__init__)["__signature__"] = inspect.Signature(ordered, return_annotation=None)
    return __init__


def _completed(docstring: str | None, inherited: Mapping[str, str], names: Iterable[str]) -> str:
    """A docstring in which the section Args explains all names, in their order."""
    before, _, after = _around_args(docstring)
    known = {**inherited, **meanings(docstring)}
    entries = [
        textwrap.fill(f"    {name}: {known[name]}", WIDTH, subsequent_indent=" " * 8)
        for name in names
        if name in known
    ]
    parts = ["\n".join(part) for part in (before, ["Args:", *entries], after)]
    return "\n\n".join(part.strip("\n") for part in parts if part)


def _around_args(docstring: str | None) -> tuple[list[str], list[str], list[str]]:
    """The lines before the section Args, in it, and after it; where it is missing, it is empty."""
    lines = inspect.cleandoc(docstring or "").splitlines()
    ends = [index for index, line in enumerate(lines) if SECTION.match(line)] + [len(lines)]
    if "Args:" not in lines:
        return lines[: ends[0]], [], lines[ends[0] :]
    start = lines.index("Args:")
    end = next(end for end in ends if end > start)
    return lines[:start], lines[start + 1 : end], lines[end:]
