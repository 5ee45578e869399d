"""The full-covariance Gaussian: the baseline, and a sanity check of a data pipeline."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from flowbench.config.limits import AtLeastOne, AtLeastZero
from flowbench.flows.base import StandardNormal
from flowbench.flows.flow import Flow
from flowbench.tracing import holds
from flowbench.transforms import Transform, TriangularAffine

__all__ = ["Gaussian", "labels_of_one_hot"]


class Gaussian(Flow):
    r"""N(m, C) with the mean and covariance of the training rows, in closed form (`initialize`).

    With a context, which is a one-hot class, every class has its own mean and covariance:
    log p(x | class) = log N(x; m_class, C_class).

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
            _PerClass(features, context_features)
            if context_features
            else TriangularAffine(features)
        )
        super().__init__(StandardNormal(features), transform)


class _PerClass(Transform):
    """One `TriangularAffine` for each class, selected by a one-hot context."""

    def __init__(self, features: int, classes: int) -> None:
        super().__init__()
        self.context_features = classes
        self.classes = nn.ModuleList(TriangularAffine(features) for _ in range(classes))

    def forward(self, u: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return self._each(u, context, lambda layer, rows: layer(rows))

    def inverse(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return self._each(x, context, lambda layer, rows: layer.inverse(rows))

    @torch.no_grad()
    def initialize(self, x: Tensor, context: Tensor | None = None) -> None:
        labels = self._labels(context)
        for label, layer in enumerate(self.classes):
            rows = x[labels == label]
            if not len(rows):
                raise ValueError(
                    f"class {label} of 0 … {len(self.classes) - 1} has no training rows"
                )
            try:
                layer.initialize(rows)  # type: ignore[operator]
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


def labels_of_one_hot(context: Tensor | None, classes: int) -> Tensor:
    """The labels of one-hot contexts `[..., classes]`, integers `[...]`.

    Raises:
        ValueError: the context is missing, or not one-hot.

    Example:
        >>> labels_of_one_hot(torch.eye(3), 3)
        tensor([0, 1, 2])
    """
    if context is None:
        raise ValueError(f"context_features={classes}, but a context was not given")
    one_hot = ((context == 0) | (context == 1)).all(-1) & (context.sum(-1) == 1)
    if context.shape[-1] != classes or not holds(one_hot):
        raise ValueError(f"the context must name one of {classes} classes in one-hot form")
    return context.argmax(-1)
