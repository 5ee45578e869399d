"""The message of an error as the user reads it, without Hydra's wrapping."""

import re

from hydra.errors import InstantiationException

__all__ = ["cause", "sentence"]


def cause(error: BaseException) -> BaseException:
    """The error that a constructor raised, without Hydra's wrapping."""
    if isinstance(error, InstantiationException) and error.__cause__ is not None:
        return error.__cause__
    return error


def sentence(error: BaseException) -> str:
    """The message of an error, with the key of the object being built or the name of the file.

    Example:
        >>> sentence(FileNotFoundError(2, "No such file", "a.csv"))
        'a.csv: No such file'
    """
    origin = cause(error)
    text = str(origin) or type(origin).__name__
    if isinstance(origin, OSError) and origin.filename:
        text = f"{origin.filename}: {origin.strerror}"
    key = re.search(r"full_key: (\S+)", str(error)) if origin is not error else None
    return f"{key[1]}: {text}" if key else text
