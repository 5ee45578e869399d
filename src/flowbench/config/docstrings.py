"""Google-style docstrings: the summary, and the meaning of each argument."""

import inspect
import re
import textwrap
from collections.abc import Mapping

__all__ = ["entries", "meanings", "summary", "with_meanings"]

SECTION = re.compile(r"^(?=[A-Z][a-z]+:$)", re.MULTILINE)
ENTRY = re.compile(r"^ {4}([\w*][\w*, ]*): *(.*(?:\n {5,}.*|\n(?=\n {5,}))*)", re.MULTILINE)
WIDTH = 95


def summary(target: object) -> str:
    """The first line of a docstring, or nothing.

    Example:
        >>> summary(summary)
        'The first line of a docstring, or nothing.'
    """
    return next(iter((inspect.getdoc(target) or "").splitlines()), "")


def meanings(target: object) -> dict[str, str]:
    """The entries of the section Args; a class has those of its bases too, its own coming first.

    Args:
        target: a class or a function.

    Returns:
        Argument → its meaning, in one line.

    Example:
        >>> meanings(meanings)
        {'target': 'a class or a function.'}
    """
    found: dict[str, str] = {}
    for one in inspect.getmro(target) if inspect.isclass(target) else [target]:
        for owner in (one, vars(one).get("__init__")):
            found = entries(getattr(owner, "__doc__", None)) | found
    return found


def with_meanings(doc: str, entries: Mapping[str, str]) -> str:
    """A docstring whose section Args has these entries alone.

    Example:
        >>> print(with_meanings("Draw.", {"seed": "of the generator."}))
        Draw.
        <BLANKLINE>
        Args:
            seed: of the generator.
    """
    beginning, *sections = SECTION.split(inspect.cleandoc(doc))
    lines = [
        textwrap.fill(f"{name}: {text}", WIDTH, initial_indent=" " * 4, subsequent_indent=" " * 8)
        for name, text in entries.items()
    ]
    others = [section for section in sections if not section.startswith("Args:")]
    parts = [beginning, "\n".join(["Args:", *lines]), *others]
    return "\n\n".join(part.strip() for part in parts)


def entries(doc: str | None) -> dict[str, str]:
    r"""The entries of the section Args of a docstring.

    Example:
        >>> entries("Cut.\n\nArgs:\n    low, high: bounds,\n        in Hz.")
        {'low': 'bounds, in Hz.', 'high': 'bounds, in Hz.'}
    """
    for section in SECTION.split(inspect.cleandoc(doc or ""))[1:]:
        if section.startswith("Args:"):
            return {
                name: " ".join(text.split())
                for names, text in ENTRY.findall(section)
                for name in re.findall(r"\w+", names)
            }
    return {}
