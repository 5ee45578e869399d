"""From a run folder or a checkpoint to the trained density, without executing what lies in it."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import torch
from torch import Tensor, nn

from flowbench.data.base import DataModule, build_preprocess
from flowbench.flows import Flow, equal_blocks
from flowbench.transforms import Chain

__all__ = ["CheckpointError", "TrainedDensity", "load"]

FORMAT = 2
PREFIX = "flow."


class CheckpointError(Exception):
    """A checkpoint that cannot be loaded, told in one sentence."""


class TrainedDensity(nn.Module):
    r"""A trained flow together with its preprocessing: a density of data in their own units.

    log p(x) = log p_model(u) + log |det ∂u/∂x|, where u is x after preprocessing.

    Attributes:
        flow: the density in model space.
        preprocess: the transform from model space to data units (its `inverse` preprocesses).
        context_preprocess: the same for contexts.
        config: the configuration of the run.
        context_features: size of a context, 0 for none.
        feature_names: of the columns of an event.
        categories: of the context's last features: column → its labels, one feature each.
    """

    def __init__(
        self,
        flow: Flow,
        *,
        preprocess: Chain,
        context_preprocess: Chain,
        config: Mapping[str, Any],
        context_features: int = 0,
        feature_names: Sequence[str] = (),
        categories: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        super().__init__()
        self.flow = flow
        self.preprocess = preprocess
        self.context_preprocess = context_preprocess
        self.config = config
        self.context_features = context_features
        self.feature_names = list(feature_names)
        self.categories = dict(categories or {})
        self.eval()

    @torch.no_grad()
    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Log-density of rows `[..., features]` in data units, in nats, with the batch's shape.

        It is −inf outside of the support, and where the flow overflows; only NaN gives NaN.

        Raises:
            ValueError: x or the context has another size, or the context has a value that its
                preprocessing cannot map.
        """
        u, log_det = self.preprocess.inverse(_numbers("x", x, self.flow.features))
        return self.flow.log_prob(self._float(u), self._context(context)) + log_det

    @torch.no_grad()
    def sample(self, n: int, context: Tensor | None = None) -> Tensor:
        """Draw `[n, *context_batch, features]` in data units."""
        return self.preprocess(self.flow.sample((n,), self._context(context)))[0]

    def one_hot(self, column: str, labels: Sequence[str | None]) -> Tensor:
        """Labels of a categorical column as the zeros and ones of a context, `[rows, labels]`.

        A context is its columns of numbers, then these, in the order of `categories`.

        Raises:
            ValueError: the column is unknown, or holds a label that no training row had.
        """
        if column not in self.categories:
            known = ", ".join(self.categories) or "none"
            raise ValueError(f"{column!r} is no categorical column; known: {known}")
        known = {label: number for number, label in enumerate(self.categories[column])}
        if unknown := [label for label in labels if label not in known]:
            raise ValueError(
                f"column {column!r} holds {unknown[0]!r}, expected one of {', '.join(known)}"
            )
        return torch.eye(len(known))[[known[str(label)] for label in labels]]

    def _context(self, context: Tensor | None) -> Tensor | None:
        if context is None:
            return None
        context = _numbers("context", context, self.context_features)
        value, log_det = self.context_preprocess.inverse(context)
        if (log_det == -torch.inf).any():
            steps = ", ".join(type(step).__name__ for step in self.context_preprocess.transforms)
            raise ValueError(f"the context has values that {steps} cannot map")
        return self._float(value)

    def _float(self, value: Tensor) -> Tensor:
        return value.to(next(self._floating(), torch.zeros(())).dtype)

    def _floating(self) -> Iterator[Tensor]:
        return (p for p in self.flow.parameters() if p.is_floating_point())


def _numbers(name: str, value: Tensor, size: int) -> Tensor:
    """Rows of the right size; whole numbers become real ones, which preprocessing gives back."""
    if value.shape[-1:] != (size,):
        raise ValueError(f"{name} has shape {tuple(value.shape)}, expected [..., {size}]")
    return value if value.is_floating_point() else value.double()


def saved_values(config: Mapping[str, Any], data: DataModule) -> dict[str, Any]:
    """What a checkpoint carries beside tensors, as plain values."""
    return {
        "format": FORMAT,
        "config": dict(config),
        "sizes": data.sizes,
        "preprocess": data.raw.preprocess,
        "context_preprocess": data.raw.context_preprocess,
        "feature_names": list(data.raw.feature_names),
        "categories": dict(data.raw.categories),
    }


def load(run: str | Path, *, trust: bool = False) -> TrainedDensity:
    """The density that a run has learnt, in the units of its data.

    Only tensors and plain values are read. The classes that the configuration names are built if
    they belong to flowbench, others only with `trust=True`.

    Args:
        run: a run folder (its best checkpoint is taken) or a checkpoint file.
        trust: also build classes from outside flowbench.

    Raises:
        CheckpointError: there is none, it is unreadable, it names a foreign class, or its model
            cannot be built.

    Example:
        density = flowbench.load("outputs/toy/maf/1a2b3c4d/seed=0")
        density.log_prob(rows), density.sample(1000)
    """
    path = _checkpoint_path(run)
    saved, state = read_checkpoint(path)
    model = saved["config"]["model"]
    if not trust:
        refuse_foreign(model, what="model", path=path)
    try:
        flow = build_flow(model, **saved["sizes"])
    except Exception as error:  # whatever a configuration of another version leads to
        reason = " ".join(str(error).split())
        raise CheckpointError(f"{path}: the model cannot be built: {reason}") from error
    _load_state(flow, state, path)
    return TrainedDensity(
        flow,
        preprocess=build_preprocess(saved["preprocess"]),
        context_preprocess=build_preprocess(saved["context_preprocess"]),
        config=saved["config"],
        context_features=saved["sizes"]["context_features"],
        feature_names=saved["feature_names"],
        categories=saved["categories"],
    )


def _checkpoint_path(run: str | Path) -> Path:
    path = Path(run)
    if path.is_dir():
        path = path / "checkpoints" / "best.ckpt"
    if not path.is_file():
        raise CheckpointError(f"{path}: no such checkpoint; expected a run folder or a .ckpt file")
    return path


def _load_state(flow: Flow, state: Mapping[str, Tensor], path: Path) -> None:
    broken = [name for name, value in state.items() if value.isnan().any()]
    if broken:
        raise CheckpointError(f"{path}: {broken[0]} holds NaN, expected numbers")
    try:
        flow.load_state_dict(state)
    except RuntimeError as error:
        raise CheckpointError(f"{path}: {' '.join(str(error).split())}") from error


def build_flow(
    model: Mapping[str, Any],
    *,
    features: int,
    context_features: int,
    blocks: int = 1,
    shared: bool = False,
) -> Flow:
    """The flow that a `model` configuration describes, for events and contexts of these sizes.

    Args:
        model: the configuration.
        features: size of an event.
        context_features: size of a context, 0 for none.
        blocks: number of equal blocks of an event that do not depend on each other.
        shared: whether one flow has the same weights for all blocks, or each has its own.

    Raises:
        ValueError: what is described is no `Flow`.
    """
    from hydra.utils import instantiate  # the library part does without Hydra

    options = {key: value for key, value in model.items() if key != "name"}

    def flow(features: int, **sizes: int) -> Flow:
        built = instantiate(options, features=features, **sizes, _convert_="all")
        if not isinstance(built, Flow):
            raise ValueError(
                f"model._target_={model['_target_']} gives a {type(built).__name__}, "
                "expected a flowbench.flows.Flow"
            )
        return built

    sizes = {"context_features": context_features} if context_features else {}
    if blocks == 1:
        return flow(features, **sizes)
    return equal_blocks(features, **sizes, blocks=blocks, shared=shared, flow=flow)


def read_checkpoint(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The plain values and the flow's state in a checkpoint; executes nothing.

    Raises:
        CheckpointError: the file is unreadable, or of another format.
    """
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
        saved = checkpoint["flowbench"]
    except Exception as error:  # a damaged file fails in as many ways as there are bytes
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(f"{path}: not a readable flowbench checkpoint ({reason})") from error
    if saved["format"] != FORMAT:
        raise CheckpointError(f"{path}: format {saved['format']}, expected {FORMAT}")
    state = checkpoint["state_dict"]
    return saved, {
        key.removeprefix(PREFIX): value for key, value in state.items() if key.startswith(PREFIX)
    }


def start_from(flow: Flow, run: str | Path) -> None:
    """Give a flow the parameters (and buffers) that another run of the same flow ended with.

    Args:
        flow: built with the same options.
        run: a run folder (its best checkpoint is taken) or a checkpoint file.

    Raises:
        CheckpointError: there is none, it is unreadable, or it is of another flow.
    """
    path = _checkpoint_path(run)
    _load_state(flow, read_checkpoint(path)[1], path)


def refuse_foreign(config: Mapping[str, Any], *, what: str, path: Path) -> None:
    """Refuse a configuration that would run other code than the classes of flowbench.

    What is named must be a class that flowbench itself defines, or a function of its flows; a
    name such as `flowbench.data.conversion.shutil.rmtree` leads out of it.

    Raises:
        CheckpointError: naming the first that is not.
    """
    foreign = [name for name in _targets(config) if not _is_own(name)]
    if foreign:
        raise CheckpointError(
            f"{path}: the {what} is built by {foreign[0]}, from outside flowbench; "
            "pass trust=True if you trust that code"
        )


def _is_own(name: str) -> bool:
    if not name.startswith("flowbench."):
        return False
    try:
        found = resolve_name(name)
    except (ImportError, AttributeError, ValueError):
        return True  # there is no such thing: nothing runs, and building it says so
    home = f"{getattr(found, '__module__', '')}."
    return home.startswith("flowbench." if isinstance(found, type) else "flowbench.flows.")


def _targets(value: Any) -> Iterator[str]:
    """All `_target_` names inside a configuration, and interpolations: these could hide more."""
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
