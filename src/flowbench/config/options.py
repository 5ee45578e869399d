"""The options of a class or function: its keyword signature, with the meanings in its docstring.

A family of flows takes options of another constructor, or of the maps known by name, by a
`**options` in its own, and says whose they are: `class IAF(Flow, options=options_of(MAF))`.
Signature and docstring then show all of them.
"""

import inspect
import re
import textwrap
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

__all__ = ["Option", "inherit", "meanings", "options_of"]

SECTION = re.compile(r"^(?=\w+:$)", re.MULTILINE)
ENTRY = re.compile(r"^    (\w+): (.*(?:\n {5,}.*)*)", re.MULTILINE)


class Option(NamedTuple):
    """What an option is.

    Attributes:
        parameter: name, type with limits, and default.
        meaning: its entry under "Args" in the docstring, on one line.
    """

    parameter: inspect.Parameter
    meaning: str


def options_of(
    target: Callable[..., Any], *, without: Collection[str] = ()
) -> Mapping[str, Option]:
    """The options of a class or function by name, less some.

    Example:
        >>> def draw(rows: int, *, seed: int = 0):
        ...     '''Draw rows.
        ...
        ...     Args:
        ...         rows: how many.
        ...         seed: of the generator.
        ...     '''
        >>> parameter, meaning = options_of(draw, without=["rows"])["seed"]
        >>> parameter.default, meaning
        (0, 'of the generator.')
    """
    known = meanings(target.__doc__)
    return {
        name: Option(parameter, known.get(name, ""))
        for name, parameter in inspect.signature(target).parameters.items()
        if name not in without
    }


def meanings(doc: str | None) -> dict[str, str]:
    """The entries under "Args" in a Google-style docstring, each on one line."""
    for section in SECTION.split(inspect.cleandoc(doc or ""))[1:]:
        if section.startswith("Args:"):
            return {name: " ".join(text.split()) for name, text in ENTRY.findall(section)}
    return {}


def inherit(cls: type, options: Mapping[str, Option]) -> None:
    """Show options of another constructor in place of `**options`, with their meanings.

    What the class says itself, as a parameter or under "Args", stands.
    """
    init: Any = cls.__init__
    own = inspect.signature(init)
    parameters = [one for one in own.parameters.values() if one.kind is not one.VAR_KEYWORD]
    parameters += [
        option.parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for name, option in options.items()
        if name not in own.parameters
    ]
    init.__signature__ = own.replace(parameters=parameters)
    entries = {name: option.meaning for name, option in options.items()} | meanings(cls.__doc__)
    shown = [one.name for one in parameters if one.name in entries]
    cls.__doc__ = _with_args(cls.__doc__ or "", {name: entries[name] for name in shown})


def _with_args(doc: str, entries: Mapping[str, str]) -> str:
    summary, *sections = SECTION.split(inspect.cleandoc(doc))
    others = [section for section in sections if not section.startswith("Args:")]
    lines = [
        textwrap.fill(f"{name}: {text}", 95, initial_indent=" " * 4, subsequent_indent=" " * 8)
        for name, text in entries.items()
    ]
    return "".join([summary, "\n".join(["Args:", *lines, "", ""]), *others])
