"""Gaussians and mixtures of them: exact where cells are missing, or given."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Self

import torch
from torch import Tensor

from flowbench.flows.expectation_maximization import moments_of_present
from flowbench.flows.flow import Flow
from flowbench.flows.labels import own_labels
from flowbench.flows.missing_cells import (
    Gaussians,
    conditional_of,
    filled,
    holed,
    log_densities,
    log_marginals,
)
from flowbench.tracing import holds
from flowbench.transforms import TriangularAffine

__all__ = ["ClosedForm", "PresentAffine"]


class PresentAffine(TriangularAffine):
    """Fitted to the present cells of rows, where others are missing (NaN)."""

    @torch.no_grad()
    def initialize(
        self,
        x: Tensor,
        context: Tensor | None = None,
        weight: Tensor | None = None,
        chunk: int = 8192,
    ) -> None:
        """Fit mean and covariance by maximum likelihood; see `TriangularAffine.initialize`."""
        if x.isnan().any():
            moments = moments_of_present(x, weight)
            self.set_moments(*moments, rows=len(x), dtype=x.dtype)
        else:
            super().initialize(x, context, weight, chunk)


class ClosedForm(Flow):
    """A mixture of Gaussians, or one for each class, which a one-hot context names.

    A NaN in a row is a missing cell: the density is then the marginal one of the present cells.
    """

    by_column = True

    @property
    def marginalizes(self) -> bool:
        """Whether NaN is a missing cell, which is integrated out: it is."""
        return True

    @abstractmethod
    def mixtures(self) -> list[Gaussians]:
        """The Gaussians of every class, in float64."""

    @abstractmethod
    def with_mixtures(self, mixtures: Sequence[Gaussians]) -> Self:
        """A flow of the same kind with these Gaussians, which may have fewer features."""

    @torch.no_grad()
    def conditional(self, given: Mapping[int, float]) -> Self:
        """The density of the other features where some have given values.

        Args:
            given: feature, from 0 → its value.

        Raises:
            ValueError: there is no such feature, or none or all of them are given.

        Example:
            >>> from flowbench.flows import Gaussian
            >>> flow = Gaussian(3)
            >>> flow.initialize(torch.randn(1000, 3))
            >>> flow.conditional({0: 1.5}).sample(5).shape
            torch.Size([5, 2])
        """
        if not 0 < len(given) < self.features or not set(given) <= set(range(self.features)):
            raise ValueError(
                f"given={dict(given)}: expected values of at least one and not all of the "
                f"{self.features} features, which are numbered from 0"
            )
        mixtures = self.mixtures()
        values = torch.tensor(list(given.values())).to(mixtures[0].means)
        found = self.with_mixtures([conditional_of(one, list(given), values) for one in mixtures])
        if self.dtype == torch.float64:
            found.double()
        return found.to(self.device).train(self.training)

    def _log_prob(self, x: Tensor, context: Tensor | None) -> Tensor:
        if holds(~x.isnan()):
            return super()._log_prob(x, context)
        mixtures = self.mixtures()
        rows = x.reshape(-1, self.features).to(mixtures[0].means)
        labels = own_labels(context, self.context_features, x.device)
        labels = labels.expand(x.shape[:-1]).reshape(-1)
        terms = rows.new_zeros(len(rows))
        for label, one in enumerate(mixtures):
            own = labels == label
            terms = terms.masked_scatter(own, _log_density(rows[own], one))
        return terms.to(x.dtype).reshape(x.shape[:-1])


def _log_density(x: Tensor, gaussians: Gaussians) -> Tensor:
    """The log-density of the present cells of rows `[rows, d]`."""
    whole = ~x.isnan().any(-1)
    terms = x.new_zeros(len(x)).masked_scatter(
        whole, log_densities(x[whole], gaussians).logsumexp(-1)
    )
    for part in holed(x):
        found = log_marginals(gaussians, part, filled(x, gaussians, part)).logsumexp(-1)
        terms = terms.index_copy(0, part.rows, found)
    return terms
