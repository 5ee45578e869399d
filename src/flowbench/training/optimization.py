"""The optimiser and the learning-rate schedule of a configuration."""

import inspect
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pkgutil import resolve_name
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from flowbench.config.settings import Training

__all__ = ["CosineAnnealing", "OptimizationError", "build_optimizer", "build_scheduler"]


class OptimizationError(Exception):
    """An optimiser or a scheduler cannot be used."""


def build_optimizer(
    training: Training, parameters: Sequence[Tensor], names: Mapping[Any, str] | None = None
) -> Optimizer:
    """The optimiser of `training.optimizer`; by default Adam.

    Args:
        training: the settings.
        parameters: to optimise.
        names: of the parameters, for an optimiser whose class says `takes_names = True`.

    Raises:
        OptimizationError: it cannot be built, or is not an optimiser.

    Example:
        >>> node = {"_target_": "torch.optim.SGD", "momentum": 0.9}
        >>> build_optimizer(Training(optimizer=node), [torch.zeros(2)]).defaults["lr"]
        0.001
    """
    node, rate, decay = training.optimizer, training.learning_rate, training.weight_decay
    if node is None:
        return torch.optim.Adam(parameters, lr=rate, weight_decay=decay, fused=True)
    own = {"lr": rate, "weight_decay": decay}
    make = _maker(node)
    kind = resolve_name(node["_target_"])
    taken = inspect.signature(kind).parameters
    own = {key: value for key, value in own.items() if key in taken and key not in node}
    given: Iterable[Any] = parameters
    if names and getattr(kind, "takes_names", False):
        given = [(names[one], one) for one in parameters]
    return _built("optimizer", node, Optimizer, lambda: make(given, **own))


@contextmanager
def steps_told(name: str, node: object) -> Iterator[None]:
    """Steps of an optimiser or scheduler, whose own errors name it where it was given.

    Args:
        name: "optimizer" or "schedule".
        node: the option of `training` of that name.

    Raises:
        OptimizationError: a step of a class that `node` names has failed.
    """
    try:
        yield
    except Exception as error:  # of any class
        if not isinstance(node, Mapping) or isinstance(error, torch.OutOfMemoryError):
            raise
        reason = " ".join(str(error).split()) or type(error).__name__
        raise OptimizationError(
            f"training.{name}._target_={node['_target_']}: a step failed: {reason[:300]}"
        ) from error


def build_scheduler(node: Mapping[str, Any], optimizer: Optimizer) -> LRScheduler:
    """The learning-rate scheduler of `training.schedule`, if that is a mapping.

    Raises:
        OptimizationError: it cannot be built, or is not a scheduler.
    """
    make = _maker(node)
    return _built("schedule", node, LRScheduler, lambda: make(optimizer))


class CosineAnnealing:
    r"""lr(t) = lr · ½ (1 + cos(π t / T)) at the t-th step, counted from 0.

    It depends only on the number of the step, so that it has no state to save.

    Args:
        optimizer: whose learning rates are set before every step.
        total_steps: T, after which they stay at 0.
        step: gives the number of steps so far.
    """

    def __init__(self, optimizer: Optimizer, *, total_steps: int, step: Callable[[], int]) -> None:
        self.optimizer = optimizer
        self.total_steps = total_steps
        self.step = step
        self.initial: list[Any] = [group["lr"] for group in optimizer.param_groups]
        optimizer.register_step_pre_hook(lambda *_: self.set())

    def set(self) -> None:
        """Set the learning rates of the next step."""
        progress = min(1.0, self.step() / self.total_steps)
        for group, initial in zip(self.optimizer.param_groups, self.initial, strict=True):
            group["lr"] = initial * 0.5 * (1 + math.cos(math.pi * progress))


def _maker(node: Mapping[str, Any]) -> Callable[..., Any]:
    from hydra.utils import instantiate  # not needed by flowbench.fit

    return instantiate({**node, "_partial_": True, "_convert_": "all"})


def _built(key: str, node: Mapping[str, Any], kind: type, build: Callable[[], Any]) -> Any:
    named = f"training.{key}._target_={node['_target_']}"
    try:
        built = build()
    except (TypeError, ValueError) as error:
        raise OptimizationError(f"{named} cannot be built: {error}") from error
    if not isinstance(built, kind):
        raise OptimizationError(
            f"{named} gives a {type(built).__name__}, expected a {kind.__name__}"
        )
    return built
