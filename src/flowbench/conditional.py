"""The density of some columns given the others, in data units."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from flowbench.flows import Flow
from flowbench.flows.closed_form import ClosedForm
from flowbench.frames import finite_number
from flowbench.transforms import Permute, Transform
from flowbench.transforms.present_cells import inverse_of_present
from flowbench.transforms.steps import build_preprocess, steps_of

__all__ = ["conditional_parts"]

ROUNDING = 1e-6  # of a step: a point that is rounded down is in its own cell


def conditional_parts(
    flow: Flow, preprocess: Transform, saved: Mapping[str, Any], values: Mapping[str, Any]
) -> dict[str, Any]:
    """What a `TrainedDensity` is made of, for its columns that have no given value.

    Args:
        flow: in model space.
        preprocess: from model space to data units.
        saved: the plain values of its checkpoint.
        values: column → its value.

    Raises:
        ValueError: see `TrainedDensity.conditional`.
    """
    names = list(saved["feature_names"])
    if not isinstance(flow, ClosedForm):
        raise ValueError(
            f"{type(flow).__name__} has no density of some columns given others in closed form; "
            "Gaussian and GaussianMixture have, or train one with these as the context"
        )
    if unknown := [name for name in values if name not in names]:
        raise ValueError(f"{unknown[0]!r} is not a modelled column; they are {', '.join(names)}")
    if not 0 < len(values) < len(names):
        raise ValueError(
            f"{len(values)} of {len(names)} columns are given, expected at least one, and others "
            "that are not"
        )
    known = _middles(values, saved.get("lattices", {}))
    row = [known.get(name, torch.nan) for name in names]
    u, log_det = inverse_of_present(preprocess, torch.tensor(row, dtype=torch.float64))
    if log_det == -torch.inf:
        told = ", ".join(f"{name}={values[name]}" for name in values)
        raise ValueError(f"{told}: outside of where the density is, which is 0 there")
    others = [place for place, name in enumerate(names) if name not in values]
    steps, _ = _steps_of(others, saved["preprocess"], features=len(names))
    _, places = _steps_of([*range(len(names))], saved["preprocess"], features=len(names))
    given = {places[names.index(name)]: u[places[names.index(name)]].item() for name in values}
    kept = [names[place] for place in others]
    sizes = saved["sizes"] | {"features": len(others)}
    config = {key: value for key, value in saved["config"].items() if key != "model"}
    lattices = {name: at for name, at in saved.get("lattices", {}).items() if name in kept}
    own = {"config": config, "sizes": sizes, "preprocess": steps, "lattices": lattices}
    return {
        "flow": flow.conditional(given),
        "preprocess": build_preprocess(steps),
        "feature_names": kept,
        "saved": {**saved, **own, "feature_names": kept},
    }


def _middles(
    values: Mapping[str, Any], lattices: Mapping[str, Sequence[float]]
) -> dict[str, float]:
    """The given values; those of columns on a lattice as the middles of their cells.

    A cell begins at its point, since training adds noise from 0 to a step.
    """
    found = {name: finite_number(name, value) for name, value in values.items()}
    for name in found.keys() & lattices.keys():
        origin, step = lattices[name]
        cell = math.floor((found[name] - origin) / step + ROUNDING)
        found[name] = origin + (cell + 0.5) * step
    return found


def _steps_of(
    columns: Sequence[int], steps: Sequence[Mapping[str, Any]], *, features: int
) -> tuple[list[dict[str, Any]], list[int]]:
    """The steps as they act on some columns alone, and which features these become.

    Example:
        >>> _steps_of([0, 2], [{"name": "Permute", "permutation": [2, 1, 0]}], features=3)
        ([{'name': 'Permute', 'permutation': [1, 0]}], [2, 0])
    """
    own: list[dict[str, Any]] = []
    places = list(columns)
    for step in steps:
        if step["name"] == Permute.__name__:
            places = [step["permutation"][place] for place in places]
            ranks = sorted(places)
            own.append({**step, "permutation": [ranks.index(place) for place in places]})
        else:
            own += steps_of(sorted(places), [step], features=features)
    return own, places
