r"""The interface of transforms: invertible maps with log-determinants in both directions.

* **forward is noise → data, inverse is data → noise.** Sampling uses forward, densities inverse.
* Both directions return `(output, log_det)`, where `log_det` is the log |det Jacobian| of the map
  *just applied*: at one point, the two values cancel.
* Events are the last dimension `[..., features]`, contexts `[..., context_features]`; all leading
  dimensions are the batch shape, which `log_det` has. The batch dimensions of event and context
  broadcast against each other.
* Whatever defines the map but is not a parameter is a persistent buffer, so that a state dict
  restores the same density.

Everything else under `flowbench.transforms` implements this interface.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Self

import torch
from torch import Tensor, nn

from flowbench import memory
from flowbench.precision import in_full_precision
from flowbench.transforms.weighted_rows import on_rows

__all__ = [
    "Chain",
    "Inverse",
    "Transform",
    "common_size",
    "constant",
    "layers_from_data",
    "real_event",
    "widened",
]


class Transform(nn.Module, ABC):
    """An invertible, differentiable map of `[..., features]` onto itself.

    Both directions compute in at least 32 bits, under `torch.autocast` too: 16-bit inputs are
    converted to float32.

    Attributes:
        context_features: size of the context that it takes: 0 for none, None if unknown.
    """

    context_features: int | None = None

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for name in {"forward", "inverse"} & vars(cls).keys():
            setattr(cls, name, in_full_precision(getattr(cls, name)))

    def _apply(self, fn: Callable[[Tensor], Tensor], *given: Any) -> Self:
        """As in any module, but float64 becomes float32 on devices without float64 (MPS)."""

        def moved(value: Tensor) -> Tensor:
            try:
                return fn(value)
            except TypeError:
                if value.dtype != torch.float64:
                    raise
                return fn(value.float())

        return super()._apply(moved, *given)

    @abstractmethod
    def forward(self, u: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Map noise to data.

        Args:
            u: noise, `[..., features]`.
            context: what the map depends on, `[..., context_features]`, or None.

        Returns:
            The data `[..., features]` and log |det ∂x/∂u| with the shape of the batch.
        """

    @abstractmethod
    def inverse(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Map data to noise.

        Args:
            x: data, `[..., features]`.
            context: what the map depends on, `[..., context_features]`, or None.

        Returns:
            The noise `[..., features]` and log |det ∂u/∂x| with the shape of the batch.
        """

    @torch.no_grad()
    def initialize(
        self, x: Tensor, context: Tensor | None = None, weight: Tensor | None = None
    ) -> None:
        """Fit what is estimated from data in closed form; for most maps, nothing.

        Args:
            x: training rows on the data side of this map, `[rows, features]`.
            context: their contexts, `[rows, context_features]`, or None.
            weight: how much each row counts, `[rows]`; None: all the same.
        """
        del x, context, weight


class Chain(Transform):
    """A composition of maps: `Chain([t1, t2])` applies t1 first in the forward direction.

    x = t_n(… t_2(t_1(u))), and the log-determinants add up. An empty chain is the identity.

    Args:
        transforms: the maps from the noise side to the data side.

    Example:
        >>> import torch
        >>> from flowbench.transforms import Affine
        >>> chain = Chain([Affine(shift=1.0, features=2), Affine(scale=3.0, features=2)])
        >>> chain(torch.zeros(2))
        (tensor([3., 3.]), tensor(2.1972))
    """

    def __init__(self, transforms: Iterable[Transform] = ()) -> None:
        super().__init__()
        self.transforms: nn.ModuleList = nn.ModuleList(transforms)

    @property
    def context_features(self) -> int | None:  # type: ignore[override]
        """Size of the context that its maps take."""
        return common_size(self.transforms)

    def forward(self, u: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:  # noqa: D102
        terms = []
        for transform in self.transforms:
            u, term = transform(u, context)
            terms.append(term)
        return u, _sum(terms, u)

    def inverse(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:  # noqa: D102
        terms = []
        for transform in reversed(self.transforms):
            x, term = transform.inverse(x, context)  # type: ignore[operator]
            terms.append(term)
        return x, _sum(terms, x)

    @torch.no_grad()
    def initialize(
        self,
        x: Tensor,
        context: Tensor | None = None,
        weight: Tensor | None = None,
        chunk: int = 65536,
    ) -> None:
        """Initialise the maps in turn, from the data side to the noise side.

        The rows pass from map to map in chunks, only as far as the last map to initialise.
        """
        remaining: list[Any] = list(self.transforms)
        while any(_initializes(transform) for transform in remaining):
            transform = remaining.pop()
            on_rows(transform.initialize, x, context, weight)
            u = memory.empty_like(x)
            for start in range(0, len(x), chunk):
                rows = slice(start, start + chunk)
                given = None if context is None else context[rows]
                u[rows], _ = transform.inverse(x[rows], given)
            x = u


class Inverse(Transform):
    """The same map with its directions swapped: an inverted `MaskedAutoregressive` is an IAF.

    Args:
        transform: the map to invert.

    Example:
        >>> import torch
        >>> from flowbench.transforms import Affine
        >>> Inverse(Affine(shift=1.0, features=1))(torch.tensor([5.0]))[0]
        tensor([4.])
    """

    def __init__(self, transform: Transform) -> None:
        super().__init__()
        self.transform = transform

    @property
    def context_features(self) -> int | None:  # type: ignore[override]
        """Size of the context that the map takes."""
        return self.transform.context_features

    def forward(self, u: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:  # noqa: D102
        return self.transform.inverse(u, context)

    def inverse(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:  # noqa: D102
        return self.transform(x, context)


def _sum(terms: Sequence[Tensor], event: Tensor) -> Tensor:
    """The sum of log-determinants, 0 for every event if there are none."""
    return sum(terms[1:], terms[0]) if terms else event.new_zeros(event.shape[:-1])


def common_size(parts: Iterable[nn.Module]) -> int | None:
    """The size of the context that all parts share: 0 if none takes one, None if unknown.

    Example:
        >>> from flowbench.transforms import Permute
        >>> common_size([Permute([0, 1]), nn.Identity()]), common_size([Permute([0, 1])])
        (None, 0)
    """
    sizes = {getattr(part, "context_features", None) for part in parts}
    known = sizes - {0, None}
    if len(known) == 1:
        return known.pop()
    return None if known or None in sizes else 0


def real_event(event: Tensor, features: int | None = None) -> Tensor:
    """An event as real numbers; integers are converted to the default dtype.

    Args:
        event: `[..., features]`.
        features: the expected size, or None for any.

    Raises:
        ValueError: the event is complex or of another size.

    Example:
        >>> real_event(torch.tensor([1, 2]), 2)
        tensor([1., 2.])
    """
    if features is not None and event.shape[-1:] != (features,):
        raise ValueError(f"the event has shape {tuple(event.shape)}, expected [..., {features}]")
    if event.is_complex():
        raise ValueError(f"the event holds {event.dtype}, expected real numbers")
    return event if event.is_floating_point() else event.to(torch.get_default_dtype())


def constant(values: Tensor) -> Tensor:
    """A copy on the default device, in float32 if that has no float64 (MPS)."""
    device = torch.get_default_device()
    dtype = torch.float32 if device.type == "mps" else values.dtype
    return values.to(device, dtype, copy=True)


def widened(value: Tensor) -> Tensor:
    """The same numbers in float64, or in float32 if the device has no float64 (MPS)."""
    return value.float() if value.is_mps else value.double()


def layers_from_data(transform: Transform) -> list[Transform]:
    """The layers of a transform from data to noise, with nested chains flattened.

    Example:
        >>> from flowbench.transforms import Permute
        >>> chain = Chain([Permute([0, 1]), Chain([Inverse(Permute([1, 0]))])])
        >>> [type(layer).__name__ for layer in layers_from_data(chain)]
        ['Inverse', 'Permute']
    """
    if isinstance(transform, Chain):
        parts = reversed(transform.transforms)
        return [leaf for part in parts for leaf in layers_from_data(part)]  # type: ignore[arg-type]
    return [transform]


def _initializes(transform: Transform) -> bool:
    """Whether it, or a map inside it, is initialised from data."""
    inactive = (Transform.initialize, Chain.initialize)
    return any(
        isinstance(part, Transform) and type(part).initialize not in inactive
        for part in transform.modules()
    )
