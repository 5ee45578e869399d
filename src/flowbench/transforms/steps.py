"""Building the preprocessing Transform from the plain values that a checkpoint stores."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from flowbench.transforms.base import Chain, Transform
from flowbench.transforms.elementwise import Affine, Logit, Standardize
from flowbench.transforms.linear import Permute
from flowbench.transforms.preprocessing import Angle, Bounded, Clip, Log

__all__ = ["build_preprocess", "steps_of"]

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


def steps_of(
    columns: Sequence[int], steps: Iterable[Mapping[str, Any]], *, features: int
) -> Iterator[dict[str, Any]]:
    """The steps as they act on some columns alone, each of which they map by itself.

    Args:
        columns: in rising order, from 0.
        steps: of rows `[rows, features]`.
        features: number of all columns.

    Raises:
        ValueError: a step moves columns.

    Example:
        >>> steps = [{"name": "Log", "columns": [2]}, {"name": "Standardize", "mean": [1, 2, 3]}]
        >>> list(steps_of([1, 2], steps, features=3))
        [{'name': 'Log', 'columns': [1]}, {'name': 'Standardize', 'mean': [2, 3]}]
    """
    place = {column: index for index, column in enumerate(columns)}
    for step in steps:
        if step["name"] == Permute.__name__:
            raise ValueError("Permute moves columns, expected steps that keep each in its place")
        acted = step.get("columns", range(features))
        kept = [index for index, column in enumerate(acted) if column in place]
        if not kept:
            continue
        own: dict[str, Any] = {}
        for name, value in step.items():
            each = isinstance(value, Sequence) and not isinstance(value, str)
            own[name] = [value[index] for index in kept] if each else value
        if "columns" in step:
            own["columns"] = [place[column] for column in own["columns"]]
        if "features" in step:
            own["features"] = len(kept)
        yield own
