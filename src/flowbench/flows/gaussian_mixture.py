"""Mixtures of full-covariance Gaussians, in closed form: a baseline that flows should beat."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from flowbench.config.limits import AtLeastOne, AtLeastZero, Seed
from flowbench.flows.base import Base
from flowbench.flows.closed_form import ClosedForm, PresentAffine
from flowbench.flows.expectation_maximization import (
    Sample,
    fitted_gaussians,
    order_of,
)
from flowbench.flows.labels import own_labels, rows_of_classes
from flowbench.flows.missing_cells import Gaussians, log_densities, moments_of
from flowbench.flows.mixture_uniforms import mixture_uniforms

__all__ = ["GaussianMixture"]


class GaussianMixture(ClosedForm):
    r"""p(x) = Σₖ wₖ N(x; mₖ, Cₖ), fitted to the training rows by `initialize`.

    Expectation and maximisation start from k-means clusters, and every component is given one
    further row of the scale of the data, so that no covariance is singular. With a context, which
    is a one-hot class, every class has its own mixture. Cells that are NaN are missing, and
    integrated out.

    Args:
        features: size of the event.
        context_features: number of classes, 0 for none.
        components: K, number of Gaussians.
        seed: of the clusters.

    Raises:
        ValueError: a context is not one-hot, or (in `initialize`) a class has no training rows, or
            the covariance of all rows is singular.

    References:
        Dempster, Laird & Rubin 1977, "Maximum likelihood from incomplete data via the EM
        algorithm", J. R. Stat. Soc. B 39; Fraley & Raftery 2007, J. Classif. 24.

    Example:
        >>> import torch
        >>> flow = GaussianMixture(1, components=2)
        >>> flow.initialize(torch.cat([torch.randn(500, 1) - 5, torch.randn(500, 1) + 5]))
        >>> flow.log_prob(torch.tensor([[5.0], [0.0]])) > -5
        tensor([ True, False])
    """

    base: "_Gaussians"
    transform: PresentAffine

    def __init__(
        self,
        features: AtLeastOne,
        *,
        context_features: AtLeastZero = 0,
        components: AtLeastOne = 8,
        seed: Seed = 0,
    ) -> None:
        super().__init__(
            _Gaussians(features, context_features, components), PresentAffine(features)
        )
        self.seed = seed

    @torch.no_grad()
    def initialize(
        self, x: Tensor, context: Tensor | None = None, weight: Tensor | None = None
    ) -> None:
        """Fit the mixture of every class to its own rows, in float64, and whiten it."""
        self.transform.initialize(x, weight=weight)
        mean, scales = self.transform.mean, self.transform.scales
        root, scaled = self.transform.cholesky / scales.unsqueeze(-1), (x - mean) / scales
        order = order_of(x)
        labels = self.base.labels(self._embed(context)).expand(len(x))
        for label, own in enumerate(rows_of_classes(labels, len(self.base.means))):
            sample = Sample.of(scaled[own], None if weight is None else weight[own])
            options = {"root": root, "order": order[own], "seed": self.seed}
            found = fitted_gaussians(sample, self.base.components, **options)
            means, factors = found.means * scales + mean, found.factors * scales.unsqueeze(-1)
            self._whiten(label, found._replace(means=means, factors=factors))

    def _whiten(self, label: int, gaussians: Gaussians) -> None:
        """Take Gaussians of rows, as Gaussians of whitened rows, for a class."""
        root = self.transform.cholesky
        centred = (gaussians.means - self.transform.mean).mT
        means = torch.linalg.solve_triangular(root, centred, upper=False).mT
        factors = torch.linalg.solve_triangular(root, gaussians.factors, upper=False)
        self.base.set(label, gaussians._replace(means=means, factors=factors))

    def mixtures(self) -> list[Gaussians]:  # noqa: D102
        root, mean = self.transform.cholesky, self.transform.mean
        found = (Gaussians(*(part.to(root) for part in one)) for one in self.base.classes())
        return [Gaussians(one[0], one.means @ root.mT + mean, root @ one.factors) for one in found]

    def with_mixtures(self, mixtures: Sequence[Gaussians]) -> "GaussianMixture":  # noqa: D102
        features, classes = mixtures[0].means.shape[1], self.context_features or 0
        flow = GaussianMixture(
            features, context_features=classes, components=self.base.components, seed=self.seed
        )
        count = math.log(len(mixtures))
        parts = [torch.cat(part) for part in zip(*mixtures, strict=True)]
        mean, covariance = moments_of(Gaussians(parts[0] - count, *parts[1:]))
        flow.transform.mean.copy_(mean)
        flow.transform.cholesky.copy_(torch.linalg.cholesky(covariance))
        for label, one in enumerate(mixtures):
            flow._whiten(label, one)
        return flow


class _Gaussians(Base):
    """For every class (or one for all) K weighted Gaussians."""

    has_rsample = False
    log_weights: Tensor
    means: Tensor
    factors: Tensor

    def __init__(self, features: int, classes: int, components: int) -> None:
        super().__init__()
        self.features = features
        self.context_features = classes
        self.components = components
        size = (max(1, classes), components)
        weights = torch.full(size, 1 / components).log()
        self.register_buffer("log_weights", weights)
        self.register_buffer("means", torch.zeros(*size, features))
        self.register_buffer("factors", torch.eye(features).repeat(*size, 1, 1))

    def set(self, label: int, gaussians: Gaussians) -> None:
        """The Gaussians of a class."""
        for name, value in gaussians._asdict().items():
            getattr(self, name)[label] = value

    def labels(self, context: Tensor | None) -> Tensor:
        """The class of every context; 0 if there are none."""
        return own_labels(context, self.context_features, self.means.device)

    def log_prob(self, u: Tensor, context: Tensor | None = None) -> Tensor:
        labels = self.labels(context)
        rows = u.reshape(-1, self.features)
        found = None
        for label, gaussians in enumerate(self.classes()):
            terms = log_densities(rows, gaussians).logsumexp(-1).reshape(u.shape[:-1])
            found = terms if found is None else torch.where(labels == label, terms, found)
        assert found is not None
        return found

    def uniforms(self, u: Tensor, context: Tensor | None = None) -> Tensor:
        labels = self.labels(context).expand(u.shape[:-1]).unsqueeze(-1)
        rows = u.reshape(-1, self.features)
        found = torch.zeros_like(u)
        for label, (log_weights, means, factors) in enumerate(self.classes()):
            z = torch.linalg.solve_triangular(
                factors.mT, rows - means.unsqueeze(-2), upper=True, left=False
            )
            scales = factors.diagonal(dim1=-2, dim2=-1)
            own = mixture_uniforms(z.permute(2, 1, 0), scales.mT, log_weights)
            found = torch.where(labels == label, own.reshape(u.shape), found)
        return found

    def sample(self, shape: torch.Size, context: Tensor | None = None) -> Tensor:
        labels = self.labels(context).expand(shape)
        noise = torch.randn(
            *shape, self.features, 1, dtype=self.means.dtype, device=self.means.device
        )
        weights = self.log_weights.exp()[labels.reshape(-1)]
        chosen = torch.multinomial(weights, 1).view(shape) if weights.numel() else labels
        return self.means[labels, chosen] + (self.factors[labels, chosen] @ noise).squeeze(-1)

    def classes(self) -> list[Gaussians]:
        """The Gaussians of every class."""
        parts = zip(self.log_weights, self.means, self.factors, strict=True)
        return [Gaussians(*one) for one in parts]
