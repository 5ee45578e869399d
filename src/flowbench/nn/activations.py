"""Activations, with the names and definitions of Keras 3."""

from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["ACROSS_UNITS", "ACTIVATIONS", "activated", "acts_on_single_units"]


def _linear(x: Tensor) -> Tensor:
    return x


def _hard_sigmoid(x: Tensor) -> Tensor:
    return F.relu6(x + 3) / 6  # F.hardsigmoid has no second derivative


def _squareplus(x: Tensor) -> Tensor:
    return (x + torch.sqrt(x.square() + 4)) / 2


def _sparse_plus(x: Tensor) -> Tensor:
    return torch.where(x.abs() < 1, (x + 1).square() / 4, torch.relu(x))


def _sparse_sigmoid(x: Tensor) -> Tensor:
    return ((x + 1) / 2).clamp(0, 1)


ACTIVATIONS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "linear": _linear,
    "relu": torch.relu,
    "relu6": F.relu6,
    "leaky_relu": partial(F.leaky_relu, negative_slope=0.2),
    "elu": F.elu,
    "celu": F.celu,
    "selu": F.selu,
    "gelu": F.gelu,
    "silu": F.silu,
    "swish": F.silu,
    "hard_silu": F.hardswish,
    "hard_swish": F.hardswish,
    "mish": F.mish,
    "softplus": F.softplus,
    "squareplus": _squareplus,
    "sparse_plus": _sparse_plus,
    "tanh": torch.tanh,
    "hard_tanh": F.hardtanh,
    "tanh_shrink": F.tanhshrink,
    "soft_shrink": F.softshrink,
    "hard_shrink": F.hardshrink,
    "softsign": F.softsign,
    "sigmoid": torch.sigmoid,
    "hard_sigmoid": _hard_sigmoid,
    "sparse_sigmoid": _sparse_sigmoid,
    "log_sigmoid": F.logsigmoid,
    "exponential": torch.exp,
    "softmax": partial(torch.softmax, dim=-1),
    "log_softmax": partial(torch.log_softmax, dim=-1),
}
# In these, each unit depends on all units of its layer.
ACROSS_UNITS = ("softmax", "log_softmax")


def acts_on_single_units(activation: Callable[..., Tensor]) -> bool:
    """Whether an activation is known to act on each unit by itself, wherever the units are.

    Example:
        >>> [acts_on_single_units(one) for one in (ACTIVATIONS["leaky_relu"], torch.nn.PReLU(3))]
        [True, False]
    """
    return _function(activation) in _ON_SINGLE_UNITS


def activated(
    activation: Callable[[Tensor], Tensor], hidden: Tensor, *, read_again: bool
) -> Tensor:
    """Apply an activation; a relu works in place where nothing else reads its input.

    Args:
        activation: of the hidden layers.
        hidden: its input.
        read_again: whether anything else reads the input.

    Example:
        >>> hidden = torch.tensor([-1.0, 2.0])
        >>> activated(ACTIVATIONS["relu"], hidden, read_again=False) is hidden, hidden
        (True, tensor([0., 2.]))
    """
    if activation is ACTIVATIONS["relu"] and not read_again:
        return hidden.relu_()
    return activation(hidden)


def _function(activation: Callable[..., Tensor]) -> Callable[..., Tensor]:
    return activation.func if isinstance(activation, partial) else activation


_ON_SINGLE_UNITS = [
    _function(activation) for name, activation in ACTIVATIONS.items() if name not in ACROSS_UNITS
]
