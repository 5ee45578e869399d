"""Constraints, with the names and definitions of Keras: from a tensor to its projection.

Norms are over the weights into each unit: the rows of a kernel, which is `[out, in]`, as in
PyTorch. For a bias it is the norm of the whole vector.
"""

from collections.abc import Callable, Mapping

from torch import Tensor

__all__ = ["CONSTRAINTS"]

EPSILON = 1e-7  # as in Keras, against division by zero


def _with_norms(weight: Tensor, smallest: float, largest: float) -> Tensor:
    norms = weight.norm(dim=-1, keepdim=True)
    return weight * (norms.clamp(smallest, largest) / (EPSILON + norms))


def _max_norm(weight: Tensor) -> Tensor:
    return _with_norms(weight, 0.0, 2.0)


def _min_max_norm(weight: Tensor) -> Tensor:
    return _with_norms(weight, 0.0, 1.0)


def _unit_norm(weight: Tensor) -> Tensor:
    return _with_norms(weight, 1.0, 1.0)


def _non_neg(weight: Tensor) -> Tensor:
    return weight.clamp(min=0)


CONSTRAINTS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "max_norm": _max_norm,
    "min_max_norm": _min_max_norm,
    "unit_norm": _unit_norm,
    "non_neg": _non_neg,
}
