"""The density of some columns given the others, in data units."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from flowbench.flows import Flow
from flowbench.flows.closed_form import ClosedForm
from flowbench.frames import finite_number
from flowbench.transforms import Transform
from flowbench.transforms.present_cells import inverse_of_present
from flowbench.transforms.steps import build_preprocess

__all__ = ["conditional_parts", "steps_of"]


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
        raise ValueError(f"{unknown[0]!r} is no modelled column; they are {', '.join(names)}")
    if not 0 < len(values) < len(names):
        raise ValueError(
            f"{len(values)} of {len(names)} columns are given, expected at least one, and others "
            "that are not"
        )
    row = [finite_number(name, values[name]) if name in values else torch.nan for name in names]
    u, log_det = inverse_of_present(preprocess, torch.tensor(row, dtype=torch.float64))
    if log_det == -torch.inf:
        told = ", ".join(f"{name}={values[name]}" for name in values)
        raise ValueError(f"{told}: outside of where the density is, which is 0 there")
    others = [place for place, name in enumerate(names) if name not in values]
    given = {names.index(name): u[names.index(name)].item() for name in values}
    steps = steps_of(saved["preprocess"], others, features=len(names))
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


def steps_of(
    steps: Sequence[Mapping[str, Any]], kept: Sequence[int], *, features: int
) -> list[dict[str, Any]]:
    """The steps of a preprocessing, each of one feature, for some of the features.

    Args:
        steps: as plain values, see `build_preprocess`.
        kept: the features, from 0, in rising order.
        features: how many there are.

    Example:
        >>> log = {"name": "Log", "columns": [0, 2]}
        >>> scale = {"name": "Standardize", "mean": [1.0, 2.0, 3.0], "std": [4.0, 5.0, 6.0]}
        >>> steps_of([log, scale], [1, 2], features=3)[0]
        {'name': 'Log', 'columns': [1]}
        >>> steps_of([log, scale], [1, 2], features=3)[1]["mean"]
        [2.0, 3.0]
    """
    found = []
    for step in steps:
        columns = list(step.get("columns", range(features)))
        places = [place for place, column in enumerate(columns) if column in kept]
        if places:
            own = {
                name: [value[place] for place in places] if isinstance(value, list) else value
                for name, value in step.items()
            }
            if "columns" in step:
                own["columns"] = [list(kept).index(columns[place]) for place in places]
            found.append(own)
    return found
