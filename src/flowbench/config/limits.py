"""Types of options with their limits, named so that signatures and `help` stay short."""

from typing import Annotated, Literal

from annotated_types import Ge, Gt, IsFinite, Le, Lt
from typing_extensions import TypeAliasType

__all__ = [
    "Accelerator",
    "AtLeastOne",
    "AtLeastZero",
    "Bins",
    "Decay",
    "Dropout",
    "Engine",
    "NotNegative",
    "Positive",
    "Schedule",
    "Seed",
    "Share",
]

Positive = TypeAliasType("Positive", Annotated[IsFinite[float], Gt(0)])
NotNegative = TypeAliasType("NotNegative", Annotated[IsFinite[float], Ge(0)])
Decay = TypeAliasType("Decay", Annotated[float, Gt(0), Lt(1)])
Share = TypeAliasType("Share", Annotated[float, Gt(0), Lt(1)])
Dropout = TypeAliasType("Dropout", Annotated[float, Ge(0), Lt(1)])
AtLeastOne = TypeAliasType("AtLeastOne", Annotated[int, Ge(1)])
AtLeastZero = TypeAliasType("AtLeastZero", Annotated[int, Ge(0)])
Bins = TypeAliasType("Bins", Annotated[int, Ge(1), Le(500)])
Seed = TypeAliasType("Seed", Annotated[int, Ge(0), Lt(2**32)])
Accelerator = Literal["auto", "cpu", "gpu", "cuda", "mps", "tpu"]
Schedule = Literal["constant", "cosine"]
Engine = Literal["auto", "plain", "native"]
