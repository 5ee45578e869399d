"""Loading a trained density from a run folder or checkpoint, without executing its contents."""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from flowbench.bounded import bounded
from flowbench.config.later_keys import with_first_slope, with_later_keys
from flowbench.density import TrainedDensity
from flowbench.description import float32_on_cpu
from flowbench.flows import Flow, Mixture
from flowbench.foreign import refuse_foreign
from flowbench.from_config import build_flow
from flowbench.metrics import metrics_of
from flowbench.stored import (
    FORMAT,
    PREFIX,
    WITH_FIRST_SLOPE,
    CheckpointError,
    read_values,
    refuse_other_tensors,
)
from flowbench.transforms import Chain
from flowbench.transforms.steps import build_preprocess

if TYPE_CHECKING:  # imports Lightning, which takes seconds
    from flowbench.data.base import DataModule

__all__ = ["CheckpointError", "TrainedDensity", "load"]


def saved_values(config: Mapping[str, Any], data: "DataModule") -> dict[str, Any]:
    """What a checkpoint stores besides tensors, as plain values."""
    return {
        "format": FORMAT,
        "config": dict(config),
        "sizes": data.sizes,
        "preprocess": data.raw.preprocess,
        "context_preprocess": data.raw.context_preprocess,
        "feature_names": list(data.raw.feature_names),
        "categories": dict(data.raw.categories),
        "lattices": dict(data.raw.lattices),
        "atoms": dict(data.raw.atoms),
    }


def load(run: str | Path, *, trust: bool = False) -> TrainedDensity:
    """The density that a run has learned, in data units, on the CPU and in its own dtype.

    Only tensors and plain values are read. Classes named by the configuration are built if they
    belong to flowbench, others only with `trust=True`. Names, types, shapes and a digest over the
    whole file are checked; files of formats 2 and 3, which have no digest, load without it.

    Args:
        run: a run folder (its best checkpoint is used), a checkpoint file, or a file written by
            `TrainedDensity.save`.
        trust: also build classes from outside flowbench.

    Raises:
        CheckpointError: there is no checkpoint, it is unreadable or has changed since it was
            written, it names a foreign class, or its model cannot be built.

    Example:
        density = flowbench.load("outputs/toy/maf/1a2b3c4d/seed=0")
        density.log_prob(rows), density.sample(1000)
    """
    path = checkpoint_path(run)
    saved, state = read_checkpoint(path)
    model = saved["config"].get("model")
    if model is None:
        raise CheckpointError(f"{path}: flowbench.config.model is missing")
    if not trust:
        refuse_foreign(model, what="model", path=path)
    sizes, meant = saved["sizes"], _as_meant(model, saved["format"])
    shape = sizes.get("context_shape") or [sizes["context_features"]]
    with float32_on_cpu(), _built_from(state, path, what="model"):
        flow = build_flow(meant, **sizes)
    if saved.get("dtype") == str(torch.float64):
        flow.double()
    _load_state(flow, state, path)
    with float32_on_cpu(), _built_from(state, path, what="preprocessing"):
        preprocess = _preprocess(saved["preprocess"], sizes["features"])
        context_preprocess = _preprocess(saved["context_preprocess"], math.prod(shape))
    return TrainedDensity(
        flow,
        preprocess=preprocess,
        context_preprocess=context_preprocess,
        config=saved["config"],
        context_shape=shape,
        feature_names=saved["feature_names"],
        categories=saved["categories"],
        saved=saved,
        history=saved.get("history") or metrics_of(path),
    )


def _as_meant(model: Mapping[str, Any], format_: int) -> dict[str, Any]:
    """A `model` configuration as meant when written: later keys filled in, old meanings kept."""
    model = with_later_keys(model)
    return with_first_slope(model) if format_ == WITH_FIRST_SLOPE else model


def checkpoint_path(run: str | Path) -> Path:
    """The file to load: of a run folder its best checkpoint, else the path itself.

    Raises:
        CheckpointError: there is none.
    """
    path = Path(run)
    if path.is_dir():
        folder, path = path, path / "checkpoints" / "best.ckpt"
        if not path.is_file() and (runs := _runs_below(folder)):
            more = ", …" if len(runs) > 5 else ""
            raise CheckpointError(
                f"{folder} is not a run folder, but holds some: "
                f"{', '.join(map(str, runs[:5]))}{more}"
            )
    if not path.is_file():
        raise CheckpointError(f"{path}: no such checkpoint; expected a run folder or a .ckpt file")
    return path


def _runs_below(folder: Path) -> list[Path]:
    """The nearest run folders below `outputs/<data>/<model>/<hash>/seed=<n>` or a parent."""
    for depth in range(1, 5):
        if found := sorted(folder.glob("*/" * depth + "checkpoints/best.ckpt")):
            return [path.parents[1] for path in found]
    return []


@contextmanager
def _built_from(state: Mapping[str, Tensor], path: Path, *, what: str) -> Iterator[None]:
    """Build what a file describes within bounds, and tell in one sentence if that fails."""
    try:
        with bounded(values=sum(map(Tensor.numel, state.values())), tensors=len(state)):
            yield
    except Exception as error:  # a configuration of another version may fail in any way
        reason = " ".join(str(error).split()) or type(error).__name__
        raise CheckpointError(f"{path}: the {what} cannot be built: {reason[:500]}") from error


def _preprocess(steps: Sequence[Mapping[str, Any]], features: int) -> Chain:
    """The preprocessing of rows `[rows, features]`.

    Raises:
        ValueError: a step is for rows of another size.
    """
    chain = build_preprocess(steps)
    for step in chain.transforms:
        columns = getattr(step, "columns", None)
        size = features if columns is None else len(columns)
        for name, values in step.named_buffers():
            if not values.ndim:
                continue
            fits = values.max() < features if name == "columns" else len(values) == size
            if not fits:
                raise ValueError(
                    f"{type(step).__name__} has {name} for rows of another size than {features}"
                )
    return chain


def _load_state(flow: Flow, state: Mapping[str, Tensor], path: Path) -> None:
    names = [name for name, one in flow.named_modules() if isinstance(one, Mixture)]
    weights = [f"{name}.base.log_weights".lstrip(".") for name in names]
    # Earlier versions left the weights of mixtures to the configuration.
    whole = {**{name: flow.get_buffer(name) for name in weights}, **state}
    refuse_other_tensors(flow.state_dict(), whole, where=f"{path}: ")
    flow.load_state_dict(whole)


def read_checkpoint(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The plain values and the flow's state in a checkpoint; executes nothing.

    Raises:
        CheckpointError: see `read_values`.
    """
    values = read_values(path)
    own = {key: one for key, one in values["state_dict"].items() if key.startswith(PREFIX)}
    for key, value in own.items():
        if not isinstance(value, Tensor):
            raise CheckpointError(f"{path}: {key} is a {type(value).__name__}, expected a tensor")
    return values["flowbench"], {key.removeprefix(PREFIX): one for key, one in own.items()}


def start_from(flow: Flow, run: str | Path) -> None:
    """Initialise a flow from the parameters (and buffers) of another run of the same flow.

    Args:
        flow: built with the same options.
        run: a run folder (its best checkpoint is used) or a checkpoint file.

    Raises:
        CheckpointError: there is no checkpoint, it is unreadable, or it is of another flow.
    """
    path = checkpoint_path(run)
    saved, state = read_checkpoint(path)
    try:
        _load_state(flow, state, path)
    except CheckpointError as error:
        model = saved["config"].get("model") or {}
        told = f", a checkpoint of model={model['name']}" if model.get("name") else ""
        raise CheckpointError(f"{error}{told}; expected one of the same model") from error
