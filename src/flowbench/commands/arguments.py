"""Types of the arguments of commands."""

import argparse

__all__ = ["at_least_one"]


def at_least_one(text: str) -> int:
    """A whole number at least 1.

    Raises:
        ArgumentTypeError: the text is something else.
    """
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a whole number at least 1")
    return int(text)
