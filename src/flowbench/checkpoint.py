"""Loading a trained density from a run folder or checkpoint, without executing its contents."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from flowbench.bounded import bounded
from flowbench.config.embedding import split_embedding
from flowbench.config.later_keys import with_first_slope, with_later_keys
from flowbench.config.signatures import parameters
from flowbench.density import PREFIX, TrainedDensity
from flowbench.description import float32_on_cpu
from flowbench.flows import Flow, equal_blocks
from flowbench.metrics import metrics_of
from flowbench.stored import (
    FORMAT,
    WITH_FIRST_SLOPE,
    CheckpointError,
    read_values,
    refuse_other_tensors,
)
from flowbench.targets import build
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
        context_features=saved["sizes"]["context_features"],
        context_shape=saved["sizes"].get("context_shape", ()),
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
                f"{folder} is no run folder, but holds some: {', '.join(map(str, runs[:5]))}{more}"
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
    refuse_other_tensors(flow.state_dict(), state, where=f"{path}: ")
    flow.load_state_dict(state)


def build_data(data: Mapping[str, Any]) -> "DataModule":
    """The data module that a `data` configuration describes, not set up."""
    return _instantiate(data)


def build_flow(
    model: Mapping[str, Any],
    *,
    features: int,
    context_features: int,
    context_shape: Sequence[int] = (),
    blocks: int = 1,
    shared: bool = False,
    circular: Sequence[int] = (),
    lattice: Mapping[str, Any] | None = None,
    measure: Mapping[str, Any] | None = None,
) -> Flow:
    """The flow that a `model` configuration describes, for events and contexts of these sizes.

    `model.embedding` becomes the embedding of the flow, whose `context_features` are then the
    output size of the embedding.

    Args:
        model: the configuration.
        features: size of an event.
        context_features: size of a context, 0 for none.
        context_shape: shape of a context that is not a vector.
        blocks: number of equal, independent blocks of an event.
        shared: whether all blocks share the weights of one flow, or each has its own.
        circular: features that are angles in radians.
        lattice: what the levels of the data are, if they have any, for a model that asks for it.
        measure: what lattices and atoms columns have, if any, for a model that asks for it.

    Raises:
        ValueError: the configuration does not describe a `Flow`, its embedding does not fit the
            contexts, or the flow takes no angles.
    """
    own, node = split_embedding(model)
    shape = tuple(context_shape or [context_features])
    embedding = None
    if node is not None:
        embedding, context_features = _build_embedding(node, shape)
    elif len(shape) > 1 and "embedding" not in own:
        raise ValueError(
            f"the contexts of the data have shape {shape}, expected vectors or a model.embedding, "
            "a module that summarises them"
        )

    def flow(features: int, **sizes: Any) -> Flow:
        built = _instantiate(own, features=features, **sizes)
        if not isinstance(built, Flow):
            raise ValueError(
                f"model._target_={model['_target_']} gives a {type(built).__name__}, "
                "expected a flowbench.flows.Flow"
            )
        return built

    sizes: dict[str, Any] = {"context_features": context_features} if context_features else {}
    if circular:
        if "circular" not in (parameters(resolve_name(own["_target_"])) or {}):
            raise ValueError(
                f"model._target_={own['_target_']} takes no circular features, which "
                "data.circular_columns gives: expected model=maf, iaf or realnvp"
            )
        sizes["circular"] = list(circular)
    if blocks == 1:
        taken = parameters(resolve_name(own["_target_"])) or {}
        known = {"lattice": lattice, "measure": measure}
        sizes |= {name: one for name, one in known.items() if one is not None and name in taken}
        built = flow(features, **sizes)
    else:
        built = equal_blocks(features, **sizes, blocks=blocks, shared=shared, flow=flow)
    if embedding is not None:
        built.embedding = embedding
    return built


def _build_embedding(node: Mapping[str, Any], shape: tuple[int, ...]) -> tuple[nn.Module, int]:
    """The module that summarises contexts of a given shape, and the size of a summary."""
    target = f"model.embedding._target_={node['_target_']}"
    if not math.prod(shape):
        raise ValueError(f"{target}: the data have no context; expected model.embedding=null")
    embedding = _instantiate(node)
    if not isinstance(embedding, nn.Module):
        raise ValueError(
            f"{target} gives a {type(embedding).__name__}, expected a torch.nn.Module"
        )
    try:
        with torch.no_grad():
            summary = embedding.eval()(torch.zeros(2, *shape))
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"{target} does not take contexts of shape {shape}: {reason}") from error
    if summary.ndim != 2:
        raise ValueError(
            f"{target} gives {tuple(summary.shape)} for two contexts, expected [2, features]"
        )
    embedding.train()
    return embedding, summary.shape[-1]


def _instantiate(node: Mapping[str, Any], **options: Any) -> Any:
    return build({key: value for key, value in node.items() if key != "name"}, **options)


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
    _load_state(flow, read_checkpoint(path)[1], path)


def refuse_foreign(config: Mapping[str, Any], *, what: str, path: Path) -> None:
    """Refuse a configuration that would run code other than flowbench's own.

    Each target must be, in a model, a module that flowbench itself defines or a function of its
    flows, and in a data module such a data module; a name such as
    `flowbench.data.conversion.shutil.rmtree` leads outside.

    Args:
        config: of the model or the data module.
        what: "model" or "data module".
        path: of the run or checkpoint, for the message.

    Raises:
        CheckpointError: a target is foreign; the message names the first.
    """
    is_own = _is_data if what == "data module" else _is_part_of_model
    foreign = [name for name in _targets(config) if not _leads(name, is_own)]
    if foreign:
        raise CheckpointError(
            f"{path}: the {what} is built by {foreign[0]}, from outside flowbench; "
            "pass trust=True (--trust) if you trust that code"
        )


def _leads(name: str, is_own: Callable[[Any, str], bool]) -> bool:
    """Whether a name leads to something of flowbench's own."""
    if not name.startswith("flowbench."):
        return False
    try:
        found = resolve_name(name)
    except (ImportError, AttributeError, ValueError):
        return True  # it does not exist: nothing runs, and building it fails with a message
    return is_own(found, f"{getattr(found, '__module__', '')}.")


def _is_part_of_model(found: Any, home: str) -> bool:
    if isinstance(found, type):
        return home.startswith("flowbench.") and issubclass(found, nn.Module)
    return home.startswith("flowbench.flows.")


def _is_data(found: Any, home: str) -> bool:
    is_module = isinstance(found, type) and hasattr(found, "prepare_data")
    return is_module and home.startswith("flowbench.data.")


def _targets(value: Any) -> Iterator[str]:
    """All `_target_` names in a configuration, and interpolations, which could hide more."""
    if isinstance(value, Mapping):
        if "_target_" in value:
            yield str(value["_target_"])
        for inner in value.values():
            yield from _targets(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _targets(inner)
    elif isinstance(value, str) and "${" in value:
        yield value
