"""Regularizers, with the names and definitions of Keras: from a tensor to a penalty.

A kernel is `[out, in]`, as in PyTorch.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["REGULARIZERS"]


def _l1(weight: Tensor) -> Tensor:
    return 0.01 * weight.abs().sum()


def _l2(weight: Tensor) -> Tensor:
    return 0.01 * weight.square().sum()


def _l1_l2(weight: Tensor) -> Tensor:
    return _l1(weight) + _l2(weight)


def _orthogonal(weight: Tensor) -> Tensor:
    """0.01 times the mean |cosine| between the weights of two inputs, over all input pairs."""
    if weight.ndim != 2:
        raise ValueError("orthogonal_regularizer is for kernels: expected another one for a bias")
    unit = F.normalize(weight, dim=0, eps=1e-6)
    cosines = torch.triu(unit.mT @ unit, diagonal=1)
    inputs = weight.shape[1]
    return 0.01 * cosines.abs().sum() / max(1, inputs * (inputs - 1) // 2)


REGULARIZERS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "l1": _l1,
    "l2": _l2,
    "l1_l2": _l1_l2,
    "orthogonal_regularizer": _orthogonal,
}
