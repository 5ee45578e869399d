"""The full-covariance Gaussian: the baseline, and a sanity check of a data pipeline."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from flowbench.config.limits import AtLeastOne, AtLeastZero
from flowbench.flows.base import StandardNormal
from flowbench.flows.closed_form import ClosedForm, PresentAffine
from flowbench.flows.labels import labels_of_one_hot, rows_of_classes
from flowbench.flows.missing_cells import Gaussians
from flowbench.transforms import Transform

__all__ = ["Gaussian"]


class Gaussian(ClosedForm):
    r"""N(m, C) with the mean and covariance of the training rows, in closed form (`initialize`).

    With a context, which is a one-hot class, every class has its own mean and covariance:
    log p(x | class) = log N(x; m_class, C_class). Cells that are NaN are missing, and integrated
    out.

    Args:
        features: size of the event.
        context_features: number of classes, 0 for none.

    Raises:
        ValueError: a context is not one-hot, or (in `initialize`) a class has no training rows or
            a singular covariance.

    References:
        Papamakarios et al. 2017 (arXiv:1705.07057), section 4.

    Example:
        >>> import torch
        >>> flow = Gaussian(2)
        >>> flow.initialize(torch.randn(1000, 2) * 3)
        >>> flow.log_prob(torch.zeros(2)).shape
        torch.Size([])
    """

    def __init__(self, features: AtLeastOne, *, context_features: AtLeastZero = 0) -> None:
        transform = (
            _PerClass(features, context_features) if context_features else PresentAffine(features)
        )
        super().__init__(StandardNormal(features), transform)

    @property
    def layers(self) -> list[Any]:
        """The map of every class, or the only one."""
        one = self.transform
        return list(one.classes) if isinstance(one, _PerClass) else [one]

    def mixtures(self) -> list[Gaussians]:  # noqa: D102
        return [
            Gaussians(layer.mean.new_zeros(1), layer.mean[None], layer.cholesky[None])
            for layer in self.layers
        ]

    def with_mixtures(self, mixtures: Sequence[Gaussians]) -> "Gaussian":  # noqa: D102
        flow = Gaussian(mixtures[0].means.shape[1], context_features=self.context_features or 0)
        for layer, one in zip(flow.layers, mixtures, strict=True):
            layer.mean.copy_(one.means[0])
            layer.cholesky.copy_(one.factors[0])
        return flow


class _PerClass(Transform):
    """One map for each class, selected by a one-hot context."""

    def __init__(self, features: int, classes: int) -> None:
        super().__init__()
        self.context_features = classes
        self.classes = nn.ModuleList(PresentAffine(features) for _ in range(classes))

    def forward(self, u: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return self._each(u, context, lambda layer, rows: layer(rows))

    def inverse(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return self._each(x, context, lambda layer, rows: layer.inverse(rows))

    @torch.no_grad()
    def initialize(
        self, x: Tensor, context: Tensor | None = None, weight: Tensor | None = None
    ) -> None:
        labels = self._labels(context)
        for label, own in enumerate(rows_of_classes(labels, len(self.classes))):
            layer = self.classes[label]
            try:
                weights = None if weight is None else weight[own]
                layer.initialize(x[own], weight=weights)  # type: ignore[operator]
            except ValueError as error:
                raise ValueError(f"class {label}: {error}") from error

    def _each(
        self, rows: Tensor, context: Tensor | None, apply: Callable[[Any, Tensor], Any]
    ) -> tuple[Tensor, Tensor]:
        labels = self._labels(context)
        rows = rows.expand(*torch.broadcast_shapes(rows.shape[:-1], labels.shape), -1)
        output, log_det = apply(self.classes[0], rows)
        for label in range(1, len(self.classes)):
            chosen = labels == label
            mapped, term = apply(self.classes[label], rows)
            output = torch.where(chosen.unsqueeze(-1), mapped, output)
            log_det = torch.where(chosen, term, log_det)
        return output, log_det

    def _labels(self, context: Tensor | None) -> Tensor:
        return labels_of_one_hot(context, len(self.classes))
