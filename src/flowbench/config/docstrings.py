"""What docstrings say about a class: its summary, and the meaning of its options."""

import inspect

from flowbench.config.inherited import meanings

__all__ = ["meanings_of", "summary"]


def summary(target: object) -> str:
    """The first line of a docstring, or nothing.

    Example:
        >>> summary(summary)
        'The first line of a docstring, or nothing.'
    """
    return next(iter((inspect.getdoc(target) or "").splitlines()), "")


def meanings_of(target: object) -> dict[str, str]:
    """The entries of the section Args; a class has those of its bases too, its own coming first.

    Args:
        target: a class or a function.

    Returns:
        Option → its meaning, in one line.

    Example:
        >>> meanings_of(meanings_of)
        {'target': 'a class or a function.'}
    """
    found: dict[str, str] = {}
    for one in inspect.getmro(target) if inspect.isclass(target) else [target]:
        for owner in (one, vars(one).get("__init__")):
            found = meanings(getattr(owner, "__doc__", None)) | found
    return found
