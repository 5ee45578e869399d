"""Mixtures of full-covariance Gaussians, in closed form: a baseline that flows should beat."""

import torch
from torch import Tensor

from flowbench.config.limits import AtLeastOne, AtLeastZero, Seed
from flowbench.flows.base import Base
from flowbench.flows.expectation_maximization import (
    CHUNK,
    Gaussians,
    fitted_gaussians,
    log_densities,
)
from flowbench.flows.flow import Flow
from flowbench.flows.gaussian import labels_of_one_hot
from flowbench.transforms import TriangularAffine

__all__ = ["GaussianMixture"]


class GaussianMixture(Flow):
    r"""p(x) = Σₖ wₖ N(x; mₖ, Cₖ), fitted to the training rows by `initialize`.

    The rows are whitened by their covariance; expectation and maximisation then start from k-means
    clusters, and every component is given one further row of the scale of the data, so that no
    covariance is singular. With a context, which is a one-hot class, every class has its own
    mixture.

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
    transform: TriangularAffine

    def __init__(
        self,
        features: AtLeastOne,
        *,
        context_features: AtLeastZero = 0,
        components: AtLeastOne = 8,
        seed: Seed = 0,
    ) -> None:
        super().__init__(
            _Gaussians(features, context_features, components), TriangularAffine(features)
        )
        self.seed = seed

    @torch.no_grad()
    def initialize(self, x: Tensor, context: Tensor | None = None) -> None:
        """Whiten the rows, and fit the mixture of every class to its own, in float64."""
        self.transform.initialize(x)
        rows = torch.cat([self.transform.inverse(part)[0] for part in x.double().split(CHUNK)])
        scaled = x / self.transform.scales
        labels = self.base.labels(self._embed(context)).expand(len(x))
        for label in range(len(self.base.means)):
            own = labels == label
            if not own.any():
                raise ValueError(
                    f"class {label} of 0 … {len(self.base.means) - 1} has no training rows"
                )
            fitted = fitted_gaussians(rows[own], scaled[own], self.base.components, seed=self.seed)
            self.base.set(label, fitted)


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
        if not self.context_features:
            return torch.zeros((), dtype=torch.long, device=self.means.device)
        return labels_of_one_hot(context, self.context_features)

    def log_prob(self, u: Tensor, context: Tensor | None = None) -> Tensor:
        labels = self.labels(context)
        rows = u.reshape(-1, self.features)
        found = None
        for label, gaussians in enumerate(self._classes()):
            terms = log_densities(rows, gaussians).logsumexp(-1).reshape(u.shape[:-1])
            found = terms if found is None else torch.where(labels == label, terms, found)
        assert found is not None
        return found

    def sample(self, shape: torch.Size, context: Tensor | None = None) -> Tensor:
        labels = self.labels(context).expand(shape)
        noise = torch.randn(
            *shape, self.features, 1, dtype=self.means.dtype, device=self.means.device
        )
        weights = self.log_weights.exp()[labels.reshape(-1)]
        chosen = torch.multinomial(weights, 1).view(shape) if weights.numel() else labels
        return self.means[labels, chosen] + (self.factors[labels, chosen] @ noise).squeeze(-1)

    def _classes(self) -> list[Gaussians]:
        parts = zip(self.log_weights, self.means, self.factors, strict=True)
        return [Gaussians(*one) for one in parts]
