"""A map of some features of an event."""

from collections.abc import Sequence

import torch
from torch import Tensor

from flowbench.transforms.base import Transform
from flowbench.transforms.weighted_rows import on_rows, repeated

__all__ = ["Selected"]


class Selected(Transform):
    """A map of some features; the others are unchanged.

    Where the inverse of the map gives float64 (`LatticeCoordinates`), so does this.

    Args:
        transform: the map of these features.
        features: which, from 0.

    Example:
        >>> from flowbench.transforms import Affine
        >>> Selected(Affine(scale=[2.0]), features=[1])(torch.ones(3))
        (tensor([1., 2., 1.]), tensor(0.6931))
    """

    features: Tensor

    def __init__(self, transform: Transform, *, features: Sequence[int]) -> None:
        super().__init__()
        self.transform = transform
        self.register_buffer("features", torch.tensor(features), persistent=False)

    @property
    def context_features(self) -> int | None:  # type: ignore[override]
        """Size of the context that the map takes."""
        return self.transform.context_features

    def forward(self, u: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:  # noqa: D102
        value, log_det = self.transform(*self.fold(u, context))
        return u.index_copy(-1, self.features, value), log_det

    def inverse(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:  # noqa: D102
        value, log_det = self.transform.inverse(*self.fold(x, context))
        x = x.to(torch.promote_types(x.dtype, value.dtype))
        return x.index_copy(-1, self.features, value), log_det

    @torch.no_grad()
    def initialize(
        self, x: Tensor, context: Tensor | None = None, weight: Tensor | None = None
    ) -> None:
        """Initialise the map from these features."""
        rows, given = self.fold(x, context)
        on_rows(self.transform.initialize, rows, given, repeated(weight, len(rows)))

    def fold(self, x: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """These features of all rows, with their contexts."""
        return x.index_select(-1, self.features), context
