"""From a run folder or a checkpoint to the trained density, without executing what lies in it."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from flowbench.data.base import build_preprocess
from flowbench.flows import Flow
from flowbench.transforms import Chain

__all__ = ["CheckpointError", "TrainedDensity", "load"]

FORMAT = 1
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
    """

    def __init__(
        self,
        flow: Flow,
        *,
        preprocess: Chain,
        context_preprocess: Chain,
        config: Mapping[str, Any],
        context_features: int = 0,
    ) -> None:
        super().__init__()
        self.flow = flow
        self.preprocess = preprocess
        self.context_preprocess = context_preprocess
        self.config = config
        self.context_features = context_features
        self.eval()

    @torch.no_grad()
    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Log-density of rows `[..., features]` in data units, in nats, with the batch's shape."""
        u, log_det = self.preprocess.inverse(x)
        return self.flow.log_prob(self._float(u), self._context(context)) + log_det

    @torch.no_grad()
    def sample(self, n: int, context: Tensor | None = None) -> Tensor:
        """Draw `[n, *context_batch, features]` in data units."""
        return self.preprocess(self.flow.sample((n,), self._context(context)))[0]

    def _context(self, context: Tensor | None) -> Tensor | None:
        return (
            None if context is None else self._float(self.context_preprocess.inverse(context)[0])
        )

    def _float(self, value: Tensor) -> Tensor:
        return value.to(next(self._floating(), torch.zeros(())).dtype)

    def _floating(self) -> Iterator[Tensor]:
        return (p for p in self.flow.parameters() if p.is_floating_point())


def saved_values(
    config: Mapping[str, Any],
    *,
    features: int,
    context_features: int,
    preprocess: list[dict[str, Any]],
    context_preprocess: list[dict[str, Any]],
) -> dict[str, Any]:
    """What a checkpoint carries beside tensors, as plain values."""
    return {
        "format": FORMAT,
        "config": dict(config),
        "features": features,
        "context_features": context_features,
        "preprocess": preprocess,
        "context_preprocess": context_preprocess,
    }


def load(run: str | Path, *, trust: bool = False) -> TrainedDensity:
    """The density that a run has learnt, in the units of its data.

    Only tensors and plain values are read. The classes that the configuration names are built if
    they belong to flowbench, others only with `trust=True`.

    Args:
        run: a run folder (its best checkpoint is taken) or a checkpoint file.
        trust: also build classes from outside flowbench.

    Raises:
        CheckpointError: there is none, it is unreadable, or it names a foreign class.

    Example:
        density = flowbench.load("outputs/toy/maf/1a2b3c4d/seed=0")
        density.log_prob(rows), density.sample(1000)
    """
    path = _checkpoint_path(run)
    saved, state = read_checkpoint(path)
    model = saved["config"]["model"]
    if not trust:
        refuse_foreign(model, what="model", path=path)
    flow = build_flow(
        model, features=saved["features"], context_features=saved["context_features"]
    )
    _load_state(flow, state, path)
    return TrainedDensity(
        flow,
        preprocess=build_preprocess(saved["preprocess"]),
        context_preprocess=build_preprocess(saved["context_preprocess"]),
        config=saved["config"],
        context_features=saved["context_features"],
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


def build_flow(model: Mapping[str, Any], *, features: int, context_features: int) -> Flow:
    """The flow that a `model` configuration describes, for events and contexts of these sizes."""
    from hydra.utils import instantiate  # the library part does without Hydra

    options = {key: value for key, value in model.items() if key != "name"}
    sizes = {"features": features}
    if context_features:
        sizes["context_features"] = context_features
    return instantiate(options, **sizes, _convert_="all")


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
    """Refuse a configuration that names classes from outside flowbench.

    Raises:
        CheckpointError: naming the first of them.
    """
    foreign = [name for name in _targets(config) if not name.startswith("flowbench.")]
    if foreign:
        raise CheckpointError(
            f"{path}: the {what} is built by {foreign[0]}, from outside flowbench; "
            "pass trust=True if you trust that code"
        )


def _targets(value: Any) -> Iterator[str]:
    """All `_target_` names inside a configuration."""
    if isinstance(value, Mapping):
        if "_target_" in value:
            yield str(value["_target_"])
        for inner in value.values():
            yield from _targets(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _targets(inner)
