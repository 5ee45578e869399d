"""Loading a trained density from a run folder or checkpoint, without executing its contents."""

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from flowbench.config.embedding import split_embedding
from flowbench.config.later_keys import with_first_slope, with_later_keys
from flowbench.config.signatures import parameters
from flowbench.density import FORMAT, PREFIX, TrainedDensity
from flowbench.description import float32_on_cpu
from flowbench.flows import Flow, equal_blocks
from flowbench.targets import build
from flowbench.transforms.steps import build_preprocess

if TYPE_CHECKING:  # imports Lightning, which takes seconds
    from flowbench.data.base import DataModule

__all__ = ["CheckpointError", "TrainedDensity", "load"]

WITH_FIRST_SLOPE = 2  # the checkpoint format in which leaky_relu had its first slope


class CheckpointError(Exception):
    """A checkpoint that cannot be loaded; the message is one sentence."""


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
    }


def load(run: str | Path, *, trust: bool = False) -> TrainedDensity:
    """The density that a run has learned, in data units, on the CPU and in its own dtype.

    Only tensors and plain values are read. Classes named by the configuration are built if they
    belong to flowbench, others only with `trust=True`.

    Args:
        run: a run folder (its best checkpoint is used), a checkpoint file, or a file written by
            `TrainedDensity.save`.
        trust: also build classes from outside flowbench.

    Raises:
        CheckpointError: there is no checkpoint, it is unreadable, it names a foreign class, or its
            model cannot be built.

    Example:
        density = flowbench.load("outputs/toy/maf/1a2b3c4d/seed=0")
        density.log_prob(rows), density.sample(1000)
    """
    path = _checkpoint_path(run)
    saved, state = read_checkpoint(path)
    model = saved["config"]["model"]
    if not trust:
        refuse_foreign(model, what="model", path=path)
    with float32_on_cpu():
        try:
            flow = build_flow(_as_meant(model, saved["format"]), **saved["sizes"])
        except Exception as error:  # a configuration of another version may fail in any way
            reason = " ".join(str(error).split())
            raise CheckpointError(f"{path}: the model cannot be built: {reason}") from error
        preprocess = build_preprocess(saved["preprocess"])
        context_preprocess = build_preprocess(saved["context_preprocess"])
    if saved.get("dtype") == str(torch.float64):
        flow.double()
    _load_state(flow, state, path)
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
        history=saved.get("history", ()),
    )


def _as_meant(model: Mapping[str, Any], format_: int) -> dict[str, Any]:
    """A `model` configuration as meant when written: later keys filled in, old meanings kept."""
    model = with_later_keys(model)
    return with_first_slope(model) if format_ == WITH_FIRST_SLOPE else model


def _checkpoint_path(run: str | Path) -> Path:
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


def _load_state(flow: Flow, state: Mapping[str, Tensor], path: Path) -> None:
    broken = [name for name, value in state.items() if value.isnan().any()]
    if broken:
        raise CheckpointError(f"{path}: {broken[0]} holds NaN, expected numbers")
    try:
        flow.load_state_dict(state)
    except RuntimeError as error:
        raise CheckpointError(f"{path}: {' '.join(str(error).split())}") from error


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
    lattice: Mapping[str, Any] | None = None,
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
        lattice: what the levels of the data are, if they have any, for a model that asks for it.

    Raises:
        ValueError: the configuration does not describe a `Flow`, or its embedding does not fit the
            contexts.
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
    if blocks == 1:
        if lattice is not None and "lattice" in (parameters(resolve_name(own["_target_"])) or {}):
            sizes["lattice"] = lattice
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
        CheckpointError: the file is unreadable or has another format.
    """
    checkpoint = read_values(path)
    saved = checkpoint["flowbench"]
    if saved["format"] not in (WITH_FIRST_SLOPE, FORMAT):
        raise CheckpointError(f"{path}: format {saved['format']}, expected {FORMAT}")
    state = checkpoint["state_dict"]
    return saved, {
        key.removeprefix(PREFIX): value for key, value in state.items() if key.startswith(PREFIX)
    }


def read_values(path: Path) -> dict[str, Any]:
    """The whole content of a checkpoint, with tensors on the CPU; executes nothing.

    Raises:
        CheckpointError: the file is unreadable.
    """
    try:
        values = torch.load(path, map_location="cpu", weights_only=True)
        values["flowbench"]
    except Exception as error:  # a damaged file may fail in any way
        reason = (str(error) or type(error).__name__).splitlines()[0].partition(". ")[0]
        raise CheckpointError(f"{path}: not a readable flowbench checkpoint ({reason})") from error
    return values


def start_from(flow: Flow, run: str | Path) -> None:
    """Initialise a flow from the parameters (and buffers) of another run of the same flow.

    Args:
        flow: built with the same options.
        run: a run folder (its best checkpoint is used) or a checkpoint file.

    Raises:
        CheckpointError: there is no checkpoint, it is unreadable, or it is of another flow.
    """
    path = _checkpoint_path(run)
    _load_state(flow, read_checkpoint(path)[1], path)


def refuse_foreign(config: Mapping[str, Any], *, what: str, path: Path) -> None:
    """Refuse a configuration that would run code other than flowbench's own.

    Each target must be a class that flowbench itself defines, or a function of its flows; a name
    such as `flowbench.data.conversion.shutil.rmtree` leads outside.

    Raises:
        CheckpointError: a target is foreign; the message names the first.
    """
    foreign = [name for name in _targets(config) if not _is_own(name)]
    if foreign:
        raise CheckpointError(
            f"{path}: the {what} is built by {foreign[0]}, from outside flowbench; "
            "pass trust=True (--trust) if you trust that code"
        )


def _is_own(name: str) -> bool:
    if not name.startswith("flowbench."):
        return False
    try:
        found = resolve_name(name)
    except (ImportError, AttributeError, ValueError):
        return True  # it does not exist: nothing runs, and building it fails with a message
    home = f"{getattr(found, '__module__', '')}."
    return home.startswith("flowbench." if isinstance(found, type) else "flowbench.flows.")


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
