r"""Monotone maps of one variable, whose parameters a conditioner computes.

A univariate map states how many parameters it needs per feature (`params`) and maps in both
directions, returning log |dx/du| or log |du/dx| per feature. Zero parameters give the identity
(except in `GatedMap`), so that a flow whose network has a zero last layer starts there. To write
your own, subclass `UnivariateMap` with `params`, `forward` and `inverse`.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from flowbench.config.checked import Checked
from flowbench.config.limits import Positive

__all__ = [
    "LOG_SCALE_BOUND",
    "AffineMap",
    "GatedMap",
    "ShiftMap",
    "UnivariateMap",
    "softly_bounded",
]

LOG_SCALE_BOUND = 7.0


def softly_bounded(x: Tensor, bound: float = LOG_SCALE_BOUND) -> Tensor:
    """Bound x by b · tanh(x / b), which is nearly x where |x| is small, and never beyond ±b.

    Example:
        >>> softly_bounded(torch.tensor([0.1, 100.0]), 7.0)
        tensor([0.1000, 7.0000])
    """
    return bound * torch.tanh(x / bound)


class UnivariateMap(Checked, nn.Module, ABC):
    """A monotone map of one variable with `params` parameters."""

    params: int

    @abstractmethod
    def forward(self, u: Tensor, params: Tensor) -> tuple[Tensor, Tensor]:
        """Map noise to data.

        Args:
            u: `[..., features]`.
            params: `[..., features, self.params]`.

        Returns:
            The data and log |dx/du|, both `[..., features]`.
        """

    @abstractmethod
    def inverse(self, x: Tensor, params: Tensor) -> tuple[Tensor, Tensor]:
        """Map data to noise, with the same shapes and log |du/dx|."""

    def runs(self, features: Sequence[int]) -> "list[tuple[UnivariateMap, int]]":
        """The maps of some features in turn, with the number in a row that have the same one.

        Each takes the first of a feature's parameters.
        """
        return [(self, len(features))]


def check_params(conditioner: nn.Module, univariate: UnivariateMap) -> None:
    """Refuse a conditioner whose declared number of parameters differs from the map's.

    Raises:
        ValueError: the numbers differ.
    """
    params = getattr(conditioner, "params", univariate.params)
    if isinstance(params, int) and params != univariate.params:
        raise ValueError(
            f"the conditioner has params={params}, expected {univariate.params} for "
            f"{type(univariate).__name__}"
        )


class AffineMap(UnivariateMap):
    r"""x = u · exp(s) + t, with parameters t (shift) and s (log-scale).

    The log-scale is softly bounded, s = b · tanh(s′ / b), so that neither direction overflows.

    Args:
        bound: b, the largest |log-scale|; None leaves it unbounded.

    Raises:
        ValueError: the bound is not positive and finite.

    References:
        Papamakarios et al. 2017 (arXiv:1705.07057), equations 3 and 4.

    Example:
        >>> import torch
        >>> AffineMap()(torch.tensor([2.0]), torch.tensor([[1.0, 0.0]]))
        (tensor([3.]), tensor([0.]))
    """

    params = 2

    def __init__(self, bound: Positive | None = LOG_SCALE_BOUND) -> None:
        super().__init__()
        self.bound = bound

    def forward(self, u: Tensor, params: Tensor) -> tuple[Tensor, Tensor]:  # noqa: D102
        shift, log_scale = self._split(params)
        return torch.addcmul(shift, u, log_scale.exp()), log_scale

    def inverse(self, x: Tensor, params: Tensor) -> tuple[Tensor, Tensor]:  # noqa: D102
        shift, log_scale = self._split(params)
        log_scale = -log_scale
        return (x - shift) * log_scale.exp(), log_scale

    def _split(self, params: Tensor) -> tuple[Tensor, Tensor]:
        shift, log_scale = params.unbind(-1)
        if self.bound is not None:
            log_scale = softly_bounded(log_scale, self.bound)
        return shift, log_scale


class ShiftMap(UnivariateMap):
    r"""x = u + t, with one parameter t; it preserves volume (NICE).

    References:
        Dinh et al. 2015, "NICE" (arXiv:1410.8516), section 3.2.

    Example:
        >>> import torch
        >>> ShiftMap()(torch.tensor([2.0]), torch.tensor([[1.0]]))
        (tensor([3.]), tensor([0.]))
    """

    params = 1

    def forward(self, u: Tensor, params: Tensor) -> tuple[Tensor, Tensor]:  # noqa: D102
        x = u + params.squeeze(-1)
        return x, torch.zeros_like(x)

    def inverse(self, x: Tensor, params: Tensor) -> tuple[Tensor, Tensor]:  # noqa: D102
        u = x - params.squeeze(-1)
        return u, torch.zeros_like(u)


class GatedMap(UnivariateMap):
    r"""u = g · x + (1 − g) · m, with parameters m and s and a gate g = ε + (1 − ε) σ(s + 2).

    This is the gate of the inverse autoregressive flow. It is applied in `inverse`, where the
    conditioner takes one pass: `Inverse(MaskedAutoregressive(network, GatedMap()))` is the paper's
    layer, noise to data. ε = 10⁻² bounds the scale of the opposite direction. The offset of 2
    follows the paper's advice to start with gates nearly open: zero parameters give u = 0.88 x,
    not the identity.

    References:
        Kingma et al. 2016, "Improving variational inference with inverse autoregressive flow"
        (arXiv:1606.04934), section 3 and algorithm 1.

    Example:
        >>> import torch
        >>> GatedMap().inverse(torch.tensor([2.0]), torch.tensor([[1.0, 50.0]]))
        (tensor([2.]), tensor([0.]))
    """

    params = 2
    smallest_gate: float = 1e-2
    offset: float = 2.0

    def forward(self, u: Tensor, params: Tensor) -> tuple[Tensor, Tensor]:  # noqa: D102
        gate, shift = self._gate_and_shift(params)
        return (u - shift) / gate, -gate.log()

    def inverse(self, x: Tensor, params: Tensor) -> tuple[Tensor, Tensor]:  # noqa: D102
        gate, shift = self._gate_and_shift(params)
        return torch.addcmul(shift, x, gate), gate.log()

    def _gate_and_shift(self, params: Tensor) -> tuple[Tensor, Tensor]:
        """The gate g and (1 − g) m, with 1 − g computed without cancellation."""
        mean, raw = params.unbind(-1)
        logit = raw + self.offset
        span = 1 - self.smallest_gate
        return self.smallest_gate + span * torch.sigmoid(logit), span * torch.sigmoid(
            -logit
        ) * mean
