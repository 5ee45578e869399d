"""Reshaping of events, and one map shared by the groups of an event."""

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor

from flowbench.transforms.base import Transform
from flowbench.transforms.weighted_rows import on_rows, repeated

__all__ = ["Folded", "Reshape"]


class Reshape(Transform):
    """Noise events `[*event_shape_in]` become data events `[*event_shape_out]`; the log-det is 0.

    Args:
        event_shape_out: shape of a data event.
        event_shape_in: shape of a noise event; flat by default.

    Raises:
        ValueError: the shapes have different numbers of elements, or an event has the wrong shape.

    Example:
        >>> import torch
        >>> image, log_det = Reshape([3, 8, 8])(torch.zeros(5, 192))
        >>> image.shape, log_det.shape
        (torch.Size([5, 3, 8, 8]), torch.Size([5]))
    """

    context_features: int = 0

    def __init__(
        self, event_shape_out: Sequence[int], *, event_shape_in: Sequence[int] | None = None
    ) -> None:
        super().__init__()
        self.event_shape_out: tuple[int, ...] = tuple(event_shape_out)
        self.event_shape_in: tuple[int, ...] = tuple(event_shape_in or (prod(event_shape_out),))
        if prod(self.event_shape_in) != prod(self.event_shape_out):
            raise ValueError(
                f"event_shape_in={self.event_shape_in} and event_shape_out={self.event_shape_out} "
                "have different numbers of elements"
            )

    def forward(self, u: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:  # noqa: D102
        return _reshape(u, self.event_shape_in, self.event_shape_out)

    def inverse(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:  # noqa: D102
        return _reshape(x, self.event_shape_out, self.event_shape_in)


class Folded(Transform):
    r"""One map with shared weights, applied to each group of a flat event.

    The event `[..., groups · size]` is viewed as `[..., groups, size]` (the channels of an
    image, the frames of a sound); log |det| sums over the groups, which all get the same context.

    Args:
        transform: the map of one group, `[..., size]`.
        groups: number of groups.

    Raises:
        ValueError: there is no group, or the event size is not a multiple of their number.

    Example:
        >>> import torch
        >>> from flowbench.transforms import Affine
        >>> Folded(Affine(scale=[1.0, 2.0]), groups=3).inverse(torch.ones(6))
        (tensor([1.0000, 0.5000, 1.0000, 0.5000, 1.0000, 0.5000]), tensor(-2.0794))
    """

    def __init__(self, transform: Transform, *, groups: int) -> None:
        super().__init__()
        if groups < 1:
            raise ValueError(f"groups={groups}: expected at least 1")
        self.transform = transform
        self.groups = groups

    @property
    def context_features(self) -> int | None:  # type: ignore[override]
        """Size of the context that the map of a group takes."""
        return self.transform.context_features

    def forward(self, u: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:  # noqa: D102
        return self._unfold(u, context, *self.transform(*self.fold(u, context)))

    def inverse(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:  # noqa: D102
        return self._unfold(x, context, *self.transform.inverse(*self.fold(x, context)))

    @torch.no_grad()
    def initialize(
        self, x: Tensor, context: Tensor | None = None, weight: Tensor | None = None
    ) -> None:
        """Initialise the shared map from all groups of all rows."""
        rows, given = self.fold(x, context)
        on_rows(self.transform.initialize, rows, given, repeated(weight, len(rows)))

    def fold(self, x: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """All groups as rows `[rows, size]`, with their contexts `[rows, context_features]`."""
        if x.shape[-1] % self.groups:
            raise ValueError(
                f"an event of {x.shape[-1]} features has no {self.groups} equal groups"
            )
        if context is None:
            return x.reshape(-1, x.shape[-1] // self.groups), None
        batch = torch.broadcast_shapes(x.shape[:-1], context.shape[:-1])
        rows, _ = self.fold(x.expand(*batch, -1), None)
        context = context.unsqueeze(-2).expand(*batch, self.groups, -1)
        return rows, context.reshape(-1, context.shape[-1])

    def _unfold(
        self, event: Tensor, context: Tensor | None, value: Tensor, log_det: Tensor
    ) -> tuple[Tensor, Tensor]:
        batch = event.shape[:-1]
        if context is not None:
            batch = torch.broadcast_shapes(batch, context.shape[:-1])
        value = value.reshape(*batch, event.shape[-1])
        return value, log_det.reshape(*batch, self.groups).sum(-1)


def _reshape(
    event: Tensor, shape: tuple[int, ...], target: tuple[int, ...]
) -> tuple[Tensor, Tensor]:
    split = event.ndim - len(shape)
    batch, given = event.shape[: max(split, 0)], event.shape[max(split, 0) :]
    if given != shape:
        raise ValueError(f"the event has shape {tuple(given)}, expected [..., {shape}]")
    return event.reshape(*batch, *target), event.new_zeros(batch)
