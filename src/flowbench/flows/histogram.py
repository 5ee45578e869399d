"""Independent features on a lattice, in closed form: the baseline of models of levels."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from flowbench.config.limits import AtLeastOne, AtLeastZero
from flowbench.flows.labels import own_labels, rows_of_classes
from flowbench.flows.lattice import LatticeBase, LatticeFlow
from flowbench.flows.lattice_description import Lattice
from flowbench.flows.levels import log_shares

__all__ = ["Histogram"]


class Histogram(LatticeFlow):
    r"""p(x) = Πᵢ P(level of xᵢ) / (volume of the cell of x), with the shares of training rows.

    P(k) = (nₖ + a / K) / (n + a) in closed form (`initialize`), where nₖ of n rows have level k of
    a feature's K, and a is the pseudo-count that makes the training rows most likely, each given
    all others. With a context, which is a one-hot class, every class has its own.

    Args:
        features: size of an event.
        context_features: number of classes, 0 for none.
        lattice: of the data, which describe it: plain values with the names and meanings of the
            attributes of `flowbench.flows.lattice_description.Lattice`.

    Raises:
        ValueError: the data are on no lattice, a context is not one-hot, or (in `initialize`) a
            class has no training rows.

    Example:
        >>> import torch
        >>> flow = Histogram(1, lattice={"levels": 4})
        >>> flow.initialize(torch.tensor([[0.5]] + 9 * [[1.5]]))
        >>> flow.log_prob(torch.tensor([[1.0], [3.0]])).exp()
        tensor([0.7917, 0.0417])
    """

    def __init__(
        self,
        features: AtLeastOne,
        *,
        context_features: AtLeastZero = 0,
        lattice: Mapping[str, Any] | None = None,
    ) -> None:
        known = Lattice.of(features, lattice)
        super().__init__(_IndependentLevels(known, context_features), known)


class _IndependentLevels(LatticeBase):
    """Log-probabilities `[classes or 1, features, levels]`."""

    log_shares: Tensor

    def __init__(self, lattice: Lattice, classes: int) -> None:
        super().__init__(lattice)
        self.context_features = classes
        shares = (1 / self.counts.to(self.anchor.dtype)).log().unsqueeze(-1)
        shares = shares.expand(max(1, classes), -1, max(lattice.counts)).clone()
        self.register_buffer("log_shares", shares)

    @property
    def allowed(self) -> Tensor:
        """Which of the levels a feature has, `[features, levels]`."""
        levels = torch.arange(self.log_shares.shape[-1], device=self.log_shares.device)
        return levels < self.counts.unsqueeze(-1)

    def initialize(
        self, k: Tensor, context: Tensor | None = None, weight: Tensor | None = None
    ) -> None:
        labels = self._labels(context).expand(len(k))
        for label, own in enumerate(rows_of_classes(labels, len(self.log_shares))):
            weights = None if weight is None else weight[own]
            self.log_shares[label] = log_shares(k[own], self.counts, weights)

    def log_prob_of_levels(self, k: Tensor, context: Tensor | None) -> Tensor:
        feature = torch.arange(self.features, device=k.device)
        return self.log_shares[self._labels(context).unsqueeze(-1), feature, k].sum(-1)

    def uniforms_of_levels(self, k: Tensor, context: Tensor | None) -> Tensor:
        shares = (self.log_shares.exp() * self.allowed)[self._labels(context)]
        ends = shares.cumsum(-1).expand(*k.shape, -1)
        share, end = (
            part.expand_as(ends).gather(-1, k.unsqueeze(-1)).squeeze(-1) for part in (shares, ends)
        )
        return end - torch.rand_like(share) * share

    def sample_levels(self, shape: torch.Size, context: Tensor | None) -> Tensor:
        labels = self._labels(context).unsqueeze(-1)
        k = torch.zeros((), dtype=torch.long, device=labels.device)
        for label, shares in enumerate(self.log_shares.exp() * self.allowed):
            drawn = torch.multinomial(shares, max(1, shape.numel()), replacement=True).mT
            k = torch.where(labels == label, drawn[: shape.numel()].view(*shape, self.features), k)
        return k

    def _labels(self, context: Tensor | None) -> Tensor:
        return own_labels(context, self.context_features, self.log_shares.device)
