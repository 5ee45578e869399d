"""Types of settings with their limits: what configurations and calls are held against."""

from typing import Annotated, Literal

from pydantic import Field

__all__ = [
    "Accelerator",
    "AtLeastOne",
    "Count",
    "Decay",
    "NotNegative",
    "Positive",
    "Schedule",
    "Seed",
    "Share",
]

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Decay = Annotated[float, Field(gt=0, lt=1)]
Share = Annotated[float, Field(gt=0, lt=1)]
AtLeastOne = Annotated[int, Field(ge=1)]
Count = Annotated[int, Field(ge=0)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Accelerator = Literal["auto", "cpu", "gpu", "cuda", "mps", "tpu"]
Schedule = Literal["constant", "cosine"]
