"""Building the preprocessing Transform from the plain values that a checkpoint stores."""

from collections.abc import Iterable, Mapping
from typing import Any

from flowbench.transforms.base import Chain, Transform
from flowbench.transforms.elementwise import Affine, Logit, Standardize
from flowbench.transforms.linear import Permute
from flowbench.transforms.preprocessing import Angle, Bounded, Clip, Log

__all__ = ["build_preprocess"]

KINDS = (Affine, Angle, Bounded, Clip, Log, Logit, Permute, Standardize)
STEPS = {cls.__name__: cls for cls in KINDS}


def build_preprocess(steps: Iterable[Mapping[str, Any]]) -> Chain:
    """The Transform for a list of preprocessing steps; its `inverse` is data → model space.

    Args:
        steps: in the order applied to data, e.g. `[{"name": "Logit", "alpha": 0.05}]`.

    Raises:
        ValueError: a step has an unknown name.

    Example:
        >>> import torch
        >>> chain = build_preprocess([{"name": "Standardize", "mean": [1.0], "std": [2.0]}])
        >>> chain.inverse(torch.tensor([3.0]))[0]
        tensor([1.])
    """
    transforms: list[Transform] = []
    for step in steps:
        options = dict(step)
        name = options.pop("name")
        if name not in STEPS:
            raise ValueError(f"unknown preprocessing step {name!r}; known: {sorted(STEPS)}")
        transforms.append(STEPS[name](**options))
    return Chain(reversed(transforms))
