"""Types of options with their limits, named so that signatures and `help` stay short."""

import re
from collections.abc import Iterable
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le, Lt
from typing_extensions import TypeAliasType

__all__ = [
    "Accelerator",
    "AtLeastOne",
    "AtLeastZero",
    "Bins",
    "Decay",
    "DrawSeed",
    "Dropout",
    "Duration",
    "Engine",
    "NotNegative",
    "OneOf",
    "Positive",
    "Prior",
    "Probability",
    "Schedule",
    "Seed",
    "Share",
    "SignedShare",
    "Text",
    "TimeUnit",
    "TimeUnits",
]


class OneOf:
    """A limit: the text is one of some words.

    Args:
        words: all that are allowed.

    Example:
        >>> from flowbench.config.annotations import fits
        >>> [fits(word, Annotated[str, OneOf({"relu": max})]) for word in ("relu", "rellu")]
        [True, False]
    """

    def __init__(self, words: Iterable[str]) -> None:
        self.words: list[str] = list(words)

    def func(self, value: str) -> bool:
        """Whether a text is one of them."""
        return value in self.words


class Sane:
    """An upper limit that goes without saying, until a number is not below it.

    Args:
        largest: the limit.
    """

    def __init__(self, largest: float) -> None:
        self.largest = largest

    def func(self, value: float) -> bool:
        """Whether a number is below the limit."""
        return value < self.largest


class Form:
    """A limit: the whole text matches a regular expression.

    Args:
        pattern: the expression.
        told: what it means, in words that end "expected text …".
    """

    def __init__(self, pattern: str, told: str) -> None:
        self.pattern: re.Pattern[str] = re.compile(pattern)
        self.told = told

    def func(self, value: str) -> bool:
        """Whether a text matches."""
        return self.pattern.fullmatch(value) is not None


OF_FLOAT32, COUNTABLE = Sane(3e38), Sane(2**40)
Positive = TypeAliasType("Positive", Annotated[float, Gt(0), OF_FLOAT32])
NotNegative = TypeAliasType("NotNegative", Annotated[float, Ge(0), OF_FLOAT32])
Decay = TypeAliasType("Decay", Annotated[float, Gt(0), Lt(1)])
Share = TypeAliasType("Share", Annotated[float, Gt(0), Lt(1)])
Probability = TypeAliasType("Probability", Annotated[float, Ge(0), Le(1)])
SignedShare = TypeAliasType("SignedShare", Annotated[float, Ge(-1), Le(1)])
Dropout = TypeAliasType("Dropout", Annotated[float, Ge(0), Lt(1)])
AtLeastOne = TypeAliasType("AtLeastOne", Annotated[int, Ge(1), COUNTABLE])
AtLeastZero = TypeAliasType("AtLeastZero", Annotated[int, Ge(0), COUNTABLE])
Bins = TypeAliasType("Bins", Annotated[int, Ge(1), Le(500)])
DrawSeed = TypeAliasType("DrawSeed", Annotated[int, Ge(0), Lt(2**62)])
Seed = TypeAliasType("Seed", Annotated[int, Ge(0), Lt(2**32)])
Text = TypeAliasType("Text", Annotated[str, Form(r"(?s).*\S.*", "that is not empty")])
Duration = TypeAliasType("Duration", Annotated[str, Form(r"\d{1,4}(:\d{2}){3}", "as DD:HH:MM:SS")])
Accelerator = Literal["auto", "cpu", "gpu", "cuda", "mps"]
TimeUnits = TypeAliasType("TimeUnits", Annotated[int, Ge(0), Lt(10**6)])
TimeUnit = Literal["weeks", "days", "hours", "minutes", "seconds"]
Schedule = Literal["constant", "cosine"]
Prior = Literal["uniform", "empirical"]
Engine = Literal["auto", "plain", "compiled", "native"]
