"""Initializers, with the names and definitions of Keras: each fills a tensor in place.

A kernel is `[out, in]`, as in PyTorch. The fans of a masked kernel are those of its full shape.
"""

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Literal

from torch import Tensor
from torch.nn import init

__all__ = ["INITIALIZERS"]

# Standard deviation of a standard normal truncated at two standard deviations.
TRUNCATED_DEVIATION = 0.87962566103423978


def _uniform(weight: Tensor, limit: float = 0.05) -> Tensor:
    return init.uniform_(weight, -limit, limit)


def _normal(weight: Tensor) -> Tensor:
    return init.normal_(weight, 0.0, 0.05)


def _truncated_normal(weight: Tensor, deviation: float = 0.05) -> Tensor:
    """A normal truncated at two standard deviations; `deviation` is before truncation."""
    return init.trunc_normal_(weight, 0.0, deviation, -2 * deviation, 2 * deviation)


def _variance_scaling(
    weight: Tensor,
    scale: float = 1.0,
    mode: Literal["fan_in", "fan_avg"] = "fan_in",
    distribution: Literal["truncated_normal", "uniform"] = "truncated_normal",
) -> Tensor:
    """Zero mean and variance scale / fan."""
    fan_in, fan_out = _fans(weight)
    fan = fan_in if mode == "fan_in" else (fan_in + fan_out) / 2
    deviation = math.sqrt(scale / max(1.0, fan))
    if distribution == "uniform":
        return _uniform(weight, math.sqrt(3.0) * deviation)
    return _truncated_normal(weight, deviation / TRUNCATED_DEVIATION)


def _fans(weight: Tensor) -> tuple[int, int]:
    """Numbers of inputs and outputs; for a bias, its length for both."""
    if weight.ndim == 1:
        return len(weight), len(weight)
    outputs, inputs, *receptive_field = weight.shape
    size = math.prod(receptive_field)
    return inputs * size, outputs * size


def _orthogonal(weight: Tensor) -> Tensor:
    return init.orthogonal_(_kernel(weight, "orthogonal"))


def _identity(weight: Tensor) -> Tensor:
    return init.eye_(_kernel(weight, "identity"))


def _kernel(weight: Tensor, name: str) -> Tensor:
    if weight.ndim < 2:
        raise ValueError(f"{name} initializes kernels: expected another initializer for a bias")
    return weight


INITIALIZERS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "zeros": init.zeros_,
    "zero": init.zeros_,
    "ones": init.ones_,
    "one": init.ones_,
    "constant": init.zeros_,
    "identity": _identity,
    "orthogonal": _orthogonal,
    "random_uniform": _uniform,
    "uniform": _uniform,
    "random_normal": _normal,
    "normal": _normal,
    "truncated_normal": _truncated_normal,
    "variance_scaling": _variance_scaling,
    "glorot_uniform": partial(_variance_scaling, mode="fan_avg", distribution="uniform"),
    "glorot_normal": partial(_variance_scaling, mode="fan_avg"),
    "he_uniform": partial(_variance_scaling, scale=2.0, distribution="uniform"),
    "he_normal": partial(_variance_scaling, scale=2.0),
    "lecun_uniform": partial(_variance_scaling, distribution="uniform"),
    "lecun_normal": _variance_scaling,
}
