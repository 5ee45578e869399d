"""Description of a flow in plain values, from which a checkpoint rebuilds it."""

import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch

from flowbench.flows import Flow

__all__ = ["description", "float32_on_cpu"]


@contextmanager
def float32_on_cpu() -> Iterator[None]:
    """Build modules in float32 on the CPU, whatever the caller's default dtype and device.

    Example:
        >>> with torch.device("meta"), float32_on_cpu():
        ...     module = torch.nn.Linear(1, 1)
        >>> module.weight.device, module.weight.dtype
        (device(type='cpu'), torch.float32)
    """
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    try:
        with torch.device("cpu"):
            yield
    finally:
        torch.set_default_dtype(before)


def description(flow: Flow) -> dict[str, Any]:
    """The `model` configuration of a flowbench flow, with all its constructor options.

    Raises:
        ValueError: its class is foreign, an argument is not a plain value, or it was altered.

    Example:
        >>> from flowbench.flows import NICE
        >>> [(name, value) for name, value in description(NICE(2, layers=1)).items()][:2]
        [('_target_', 'flowbench.flows.nice.NICE'), ('layers', 1)]
    """
    cls, (positional, named) = type(flow), flow.construction
    if not cls.__module__.startswith("flowbench."):
        raise ValueError(
            f"{cls.__name__} is a class from outside flowbench, which a checkpoint does not "
            "describe: save density.flow.state_dict() and build the flow again yourself"
        )
    bound = inspect.signature(cls).bind(*positional, **named)
    bound.apply_defaults()
    options = dict(bound.arguments)
    for name, value in options.items():
        if not _is_plain(value):
            raise ValueError(
                f"{cls.__name__} was given {name}, a {type(value).__name__}, which a checkpoint "
                "does not describe: save density.flow.state_dict() and build the flow again "
                "yourself"
            )
    _refuse_altered(flow)
    sizes = ("features", "context_features", "circular")
    kept = {name: value for name, value in options.items() if name not in sizes}
    return {"_target_": f"{cls.__module__}.{cls.__qualname__}", **kept}


@torch.no_grad()
def _refuse_altered(flow: Flow) -> None:
    """Refuse a flow whose density was changed by altering it after construction."""
    positional, named = flow.construction
    with torch.random.fork_rng(devices=[]), float32_on_cpu():
        again = type(flow)(*positional, **named)
    if flow.dtype == torch.float64:
        again.double()
    again.to(flow.device)
    options = inspect.signature(type(flow)).bind(*positional, **named).arguments
    size = options.get("context_features", 0)
    like = {"dtype": flow.dtype, "device": flow.device}
    context = torch.eye(size, **like)[:1] if size else None
    x = torch.linspace(-1, 1, 5, **like).unsqueeze(-1).expand(-1, flow.features)
    x = (x > 0).to(x) if flow.discrete else x
    try:
        again.load_state_dict(flow.state_dict())
        ours, theirs = flow.log_prob(x, context), again.eval().log_prob(x, context)
        same = torch.allclose(ours, theirs, rtol=1e-5, atol=1e-5, equal_nan=True)
    except (RuntimeError, ValueError):  # other names, shapes or dtypes
        same = False
    if not same:
        raise ValueError(
            f"the {type(flow).__name__} was altered after its construction, which a checkpoint "
            "does not describe: save density.flow.state_dict() and build the flow again yourself"
        )


def _is_plain(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(map(_is_plain, [*value, *value.values()]))
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    return value is None or type(value) in (bool, int, float, str)
