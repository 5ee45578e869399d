"""Types of settings with their limits: what configurations and calls are held against."""

from typing import Annotated, Literal

from annotated_types import Ge, Gt, IsFinite, Le, Lt

__all__ = [
    "Accelerator",
    "AtLeastOne",
    "AtLeastZero",
    "Bins",
    "Decay",
    "Dropout",
    "NotNegative",
    "Positive",
    "Schedule",
    "Seed",
    "Share",
]

Positive = Annotated[IsFinite[float], Gt(0)]
NotNegative = Annotated[IsFinite[float], Ge(0)]
Decay = Annotated[float, Gt(0), Lt(1)]
Share = Annotated[float, Gt(0), Lt(1)]
Dropout = Annotated[float, Ge(0), Lt(1)]
AtLeastOne = Annotated[int, Ge(1)]
AtLeastZero = Annotated[int, Ge(0)]
Bins = Annotated[int, Ge(1), Le(500)]
Seed = Annotated[int, Ge(0), Lt(2**32)]
Accelerator = Literal["auto", "cpu", "gpu", "cuda", "mps", "tpu"]
Schedule = Literal["constant", "cosine"]
