"""Activations, initializers, regularizers and constraints by the names that Keras gives them."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn import init

__all__ = [
    "ACTIVATIONS",
    "CONSTRAINTS",
    "INITIALIZERS",
    "REGULARIZERS",
    "Function",
    "resolve",
]

Function = Callable[[Tensor], Any]


def _linear(x: Tensor) -> Tensor:
    return x


def _lecun_uniform(weight: Tensor) -> Tensor:
    return init.kaiming_uniform_(weight, nonlinearity="linear")


def _lecun_normal(weight: Tensor) -> Tensor:
    return init.kaiming_normal_(weight, nonlinearity="linear")


def _he_uniform(weight: Tensor) -> Tensor:
    return init.kaiming_uniform_(weight, nonlinearity="relu")


def _he_normal(weight: Tensor) -> Tensor:
    return init.kaiming_normal_(weight, nonlinearity="relu")


def _l1(weight: Tensor) -> Tensor:
    return 0.01 * weight.abs().sum()


def _l2(weight: Tensor) -> Tensor:
    return 0.01 * weight.square().sum()


def _non_neg(weight: Tensor) -> Tensor:
    return weight.clamp(min=0)


def _max_norm(weight: Tensor) -> Tensor:
    return weight * (2.0 / weight.norm(dim=-1, keepdim=True).clamp(min=2.0))


def _unit_norm(weight: Tensor) -> Tensor:
    return F.normalize(weight, dim=-1)


ACTIVATIONS: Mapping[str, Function] = {
    "linear": _linear,
    "relu": torch.relu,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "elu": F.elu,
    "selu": F.selu,
    "gelu": F.gelu,
    "silu": F.silu,
    "swish": F.silu,
    "softplus": F.softplus,
    "softsign": F.softsign,
    "leaky_relu": F.leaky_relu,
    "mish": F.mish,
}
INITIALIZERS: Mapping[str, Function] = {
    "glorot_uniform": init.xavier_uniform_,
    "glorot_normal": init.xavier_normal_,
    "he_uniform": _he_uniform,
    "he_normal": _he_normal,
    "lecun_uniform": _lecun_uniform,
    "lecun_normal": _lecun_normal,
    "orthogonal": init.orthogonal_,
    "zeros": init.zeros_,
    "ones": init.ones_,
}
REGULARIZERS: Mapping[str, Function] = {"l1": _l1, "l2": _l2}
CONSTRAINTS: Mapping[str, Function] = {
    "non_neg": _non_neg,
    "max_norm": _max_norm,
    "unit_norm": _unit_norm,
}


def resolve(
    option: str, value: str | Function | None, known: Mapping[str, Function]
) -> Function | None:
    """The function behind an option that takes a name or a callable.

    Args:
        option: name of the option, for the error.
        value: a name in `known`, a callable, or None.
        known: the names.

    Raises:
        ValueError: the value is neither a known name nor callable, or is a class.

    Example:
        >>> resolve("activation", "tanh", ACTIVATIONS)(torch.tensor(0.0))
        tensor(0.)
    """
    if isinstance(value, type):
        raise ValueError(
            f"{option}={value.__name__} is a class: expected an object of it, such as "
            f"{value.__name__}(), or one of {sorted(known)}"
        )
    if value is None or (callable(value) and not isinstance(value, str)):
        return value
    if value not in known:
        raise ValueError(
            f"{option}={value!r} is unknown: expected a callable or one of {sorted(known)}"
        )
    return known[value]
