"""What a checkpoint file holds: plain values and tensors, of known names, types and sizes.

A checkpoint may come from strangers. Nothing in it is executed; it is checked as a whole (a digest
over everything in it, from format 4 on), and so is each part that is used.
"""

import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NotRequired, TypedDict

import torch
from torch import Tensor

from flowbench.atomic_files import replacing
from flowbench.digest import digest
from flowbench.schema import problem

__all__ = [
    "FORMAT",
    "PREFIX",
    "WITH_FIRST_SLOPE",
    "Checkpoint",
    "CheckpointError",
    "Resumable",
    "read_values",
    "refuse_other_tensors",
    "to_write",
    "write_values",
]

WITH_FIRST_SLOPE = 2  # the format in which leaky_relu had its first slope
WITH_DIGEST = 4  # the first format whose files all have one
FORMAT = 4  # the newest
FORMATS = range(WITH_FIRST_SLOPE, FORMAT + 1)
PREFIX = "flow."  # of the flow's tensors in a `state_dict`
DIGEST = "digest"
DEEPEST = 100
PLAIN = (str, bytes, bool, int, float, complex, type(None))


class CheckpointError(Exception):
    """A checkpoint that cannot be loaded; the message is one sentence."""


class Sizes(TypedDict):
    """Keyword arguments of `build_flow`."""

    features: int
    context_features: int
    context_shape: NotRequired[list[int]]
    blocks: NotRequired[int]
    shared: NotRequired[bool]
    circular: NotRequired[list[int]]
    lattice: NotRequired[dict[str, Any]]
    measure: NotRequired[dict[str, Any]]


class Step(TypedDict):
    """A step of the preprocessing, with its options."""

    name: str


class DataNode(TypedDict):
    """The data module of the run."""

    _target_: str
    context_columns: NotRequired[list[Any] | None]


class ModelNode(TypedDict):
    """The flow of the run."""

    _target_: str


class Configuration(TypedDict):
    """The configuration of the run."""

    model: NotRequired[ModelNode]
    data: NotRequired[DataNode]


# An epoch of the training, with the scores that its module gave.
Epoch = TypedDict("Epoch", {"epoch": int, "val/log_likelihood": Any})


class Described(TypedDict):
    """The plain values that tell what the tensors mean."""

    format: int
    config: Configuration
    sizes: Sizes
    preprocess: list[Step]
    context_preprocess: list[Step]
    feature_names: list[str]
    categories: dict[str, list[str]]
    lattices: NotRequired[dict[str, list[float]]]
    atoms: NotRequired[dict[str, list[float]]]
    dtype: NotRequired[str]
    history: NotRequired[list[Epoch]]
    context_columns: NotRequired[list[str]]


class Checkpoint(TypedDict):
    """What every checkpoint has."""

    flowbench: Described
    state_dict: dict[str, Any]


class Progress(TypedDict):
    """Where a training was."""

    step: int
    position: dict[str, int]
    training: list[Any]


class Resumable(Checkpoint):
    """What a checkpoint has that a training can resume from."""

    optimizer_states: list[Any]
    lr_schedulers: list[Any]
    callbacks: dict[str, Any]
    progress: Progress
    random_states: list[dict[str, Any]]
    epoch: int
    global_step: int


def to_write(values: Mapping[str, Any]) -> dict[str, Any]:
    """The content of a checkpoint file: the values, and their digest.

    Example:
        >>> sorted(to_write({"state_dict": {}}))
        ['digest', 'state_dict']
    """
    return {**values, DIGEST: digest(values)}


def write_values(values: Mapping[str, Any], path: Path) -> None:
    """Write a checkpoint file atomically; its folder is created if necessary.

    Args:
        values: the content but for its digest.
        path: of the file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as part, part.open("wb") as file:
        try:
            torch.save(to_write(values), file)
        except RuntimeError as error:  # torch raises this if writing has failed
            raise error.__context__ or error from None


def read_values(path: Path, *, kind: Any = Checkpoint) -> dict[str, Any]:
    """The whole content of a checkpoint but for its digest, with tensors on the CPU.

    Args:
        path: of the file.
        kind: what it must have, `Checkpoint` or `Resumable`.

    Raises:
        CheckpointError: the file is unreadable, is not a checkpoint, lacks a value or has one of
            another type, or has changed since it was written.
    """
    try:
        _refuse_packed(path)
        values = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file may fail in any way
        reason = (str(error) or type(error).__name__).splitlines()[0].partition(". ")[0]
        raise _unreadable(path, reason) from error
    if not isinstance(values, dict) or "flowbench" not in values:
        raise _unreadable(path, "it has no values of flowbench")
    for name, depth, value in _leaves(values):
        if depth > DEEPEST:
            raise _unreadable(path, "its values are nested too deeply")
        if not _is_sound(value):
            raise _unreadable(path, f"{name} is neither a plain value nor a whole tensor")
    described = values["flowbench"]
    version = described.get("format") if isinstance(described, dict) else None
    if type(version) is int and version not in FORMATS:
        raise CheckpointError(f"{path}: format {version}, expected {FORMAT}")
    if wrong := problem(values, kind):
        raise CheckpointError(f"{path}: {wrong}")
    _refuse_changed(values, path)
    return values


def refuse_other_tensors(
    expected: Mapping[str, Tensor], given: Mapping[str, Any], *, where: str = ""
) -> None:
    """Refuse tensors that would not be taken over as they are.

    Args:
        expected: name → tensor of that shape and type.
        given: name → tensor.
        where: the beginning of the sentence.

    Raises:
        CheckpointError: a tensor is missing or unknown, has another shape or type, or holds NaN.
    """
    for name in [*expected, *given]:
        if name not in given:
            raise CheckpointError(f"{where}the tensor {name} is missing")
        if name not in expected:
            raise CheckpointError(f"{where}the tensor {name} does not belong to this model")
        want, value = expected[name], given[name]
        if not isinstance(value, Tensor):
            raise CheckpointError(f"{where}{name} is a {type(value).__name__}, expected a tensor")
        if (value.shape, value.dtype) != (want.shape, want.dtype):
            raise CheckpointError(
                f"{where}the tensor {name} has shape {tuple(value.shape)} and type {value.dtype}, "
                f"expected {tuple(want.shape)} and {want.dtype}"
            )
        if value.isnan().any():
            raise CheckpointError(f"{where}{name} holds NaN, expected numbers")


def _refuse_packed(path: Path) -> None:
    """Refuse what is not a file, or holds less than it would unpack to."""
    if not path.is_file():  # a pipe would wait
        raise ValueError("it is not a regular file")
    with zipfile.ZipFile(path) as packed:
        members = packed.infolist()
    if any(member.compress_type != zipfile.ZIP_STORED for member in members):
        raise ValueError("its parts are compressed")
    if sum(member.file_size for member in members) > path.stat().st_size:
        raise ValueError("its parts overlap")


def _refuse_changed(values: dict[str, Any], path: Path) -> None:
    known = values.pop(DIGEST, None)
    if known is None and values["flowbench"]["format"] < WITH_DIGEST:
        return
    if known != digest(values):
        raise CheckpointError(
            f"{path}: has changed since it was written: "
            + (
                "its digest is missing"
                if known is None
                else "its digest is that of other contents"
            )
        )


def _leaves(values: Any) -> Iterator[tuple[str, int, Any]]:
    """All values inside of nested ones, with their names and depths."""
    waiting = [("", 0, values)]
    while waiting:
        name, depth, value = waiting.pop()
        inside = depth + 1
        if depth > DEEPEST or not isinstance(value, dict | list | tuple):
            yield name, depth, value
        elif isinstance(value, dict):
            waiting += [(f"{name}.{key}".lstrip("."), inside, one) for key, one in value.items()]
            waiting += [(f"a key of {name}", inside, key) for key in value]
        else:
            waiting += [(f"{name}[{index}]", inside, one) for index, one in enumerate(value)]


def _is_sound(value: Any) -> bool:
    """Whether it is a plain value, or a tensor that holds all of its values itself."""
    if not isinstance(value, Tensor):
        return isinstance(value, PLAIN)
    if type(value) not in (Tensor, torch.nn.Parameter) or value.layout is not torch.strided:
        return False
    if value.device.type != "cpu" or value.is_quantized:
        return False
    return value.numel() * value.element_size() <= value.untyped_storage().nbytes()


def _unreadable(path: Path, reason: str) -> CheckpointError:
    return CheckpointError(f"{path}: not a readable flowbench checkpoint ({reason})")
