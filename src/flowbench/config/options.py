"""Options that a class or function takes from another: written once, shown and checked in both.

`class IAF(Flow, options=options_of(MAF, without=["base"]))` with a constructor that ends in
`**options` takes all options of `MAF` but that one. Its signature and its docstring list them.
"""

import inspect
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

from flowbench.config.docstrings import meanings
from flowbench.config.signatures import parameters

__all__ = ["Option", "add_options", "options_of"]

WIDTH = 88


class Option(NamedTuple):
    """What an option is.

    Attributes:
        parameter: name, type with limits, and default.
        meaning: its entry under "Args" in the docstring, on one line.
    """

    parameter: inspect.Parameter
    meaning: str


def options_of(target: Callable[..., Any], *, without: Collection[str] = ()) -> dict[str, Option]:
    """The options of a class or function by name, less some.

    Raises:
        TypeError: the target has no option of a name in `without`.

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
    known = meanings(target)
    options = {
        name: Option(one, known.get(name, ""))
        for name, one in (parameters(target) or {}).items()
        if one.kind is not one.VAR_KEYWORD
    }
    for name in without:
        if options.pop(name, None) is None:
            raise TypeError(f"{target.__name__} has no option {name}")
    return options


def add_options(function: Any, options: Mapping[str, Option]) -> None:
    """Show options in the signature of a function, in place of its `**options`.

    A parameter of the function's own stands.
    """
    own = inspect.signature(function, eval_str=True)
    shown = [one for one in own.parameters.values() if one.kind is not one.VAR_KEYWORD]
    shown += [
        option.parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for name, option in options.items()
        if name not in own.parameters
    ]
    function.__signature__ = LongSignature(shown, return_annotation=own.return_annotation)


class LongSignature(inspect.Signature):
    """A signature that `help` shows with one parameter per line."""

    def __str__(self) -> str:
        line = super().__str__()
        if len(line) < WIDTH:
            return line
        shown: list[str] = []
        for one in self.parameters.values():
            if one.kind is one.KEYWORD_ONLY and not any(word.startswith("*") for word in shown):
                shown.append("*")
            shown.append(str(one))
        result = str(self.replace(parameters=[])).removeprefix("()")
        return "\n".join(["(", *(f"    {one}," for one in shown), f"){result}"])
