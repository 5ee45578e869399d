"""Options as text that can be pasted behind a command."""

import re
import shlex
from collections.abc import Iterable

__all__ = ["override"]

PLAIN = re.compile(r"[A-Za-z_][\w.-]*|-?(0|[1-9]\d*)")
OTHER_VALUES = {"true", "false", "null", "nan", "inf"}


def override(key: str, values: str | Iterable[str | float]) -> str:
    """An option with a word, or with a list of names, quoted for Hydra and for the shell.

    Example:
        >>> print(override("data.columns", ["a", "bill length"]))
        "data.columns=[a,'bill length']"
        >>> print(override("data.missing", ["?", -999]), override("data.decimal", "comma"))
        "data.missing=['?',-999]" data.decimal=comma
        >>> print(override("data.columns", ["cost in $"]))
        'data.columns=["cost in $"]'
    """
    if isinstance(values, str):
        return f"{key}={values}"
    values = list(values)
    quotable = [value for value in values if isinstance(value, str)]
    mark = '"' if any(set(value) & set("$`\\!'\"") for value in quotable) else "'"
    text = f"{key}=[{','.join(_quoted(value, mark) for value in values)}]"
    if mark not in text:
        return text
    return shlex.quote(text) if mark == '"' else f'"{text}"'


def _quoted(value: str | float, mark: str) -> str:
    text = str(value)
    if PLAIN.fullmatch(text) and text.lower() not in OTHER_VALUES:
        return text
    if not isinstance(value, str) or text in ("inf", "-inf"):
        return text
    text = re.sub(rf"(\\+)(?={mark}|$)", r"\1\1", text)  # those before a mark escape it
    return mark + text.replace(mark, f"\\{mark}").replace("${", "\\${") + mark
