"""Maps of angles: circular splines, and events of which some features are angles."""

import math
from collections.abc import Callable, Sequence
from itertools import groupby

import torch
from torch import Tensor

from flowbench.config.limits import Bins
from flowbench.transforms.spline import bin_of, evaluate, knots, parameters_first, solve
from flowbench.transforms.univariate import UnivariateMap

__all__ = ["ByFeature", "CircularSplineMap", "by_feature", "wrapped"]

Direction = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


class CircularSplineMap(UnivariateMap):
    r"""A rational-quadratic spline of the circle [−π, π) onto itself, u = g(x − φ) modulo 2π.

    g is the spline of `RationalQuadraticMap` on [−π, π], with one slope for both of its ends,
    where it is continuous and so is its density. The K bins have K widths, heights and slopes, and
    the rotation φ is the last parameter. Both directions take any real number, modulo 2π, and
    zero parameters give the identity.

    Args:
        bins: K, the number of bins.

    Raises:
        ValueError: there are fewer than 1 or more than 500 bins.

    References:
        Rezende et al. 2020, "Normalizing flows on tori and spheres" (arXiv:2002.02428), section
        2.1.3.

    Example:
        >>> spline = CircularSplineMap(bins=4)
        >>> u, _ = spline.inverse(torch.tensor([3.0, 9.0]), torch.zeros(2, spline.params))
        >>> u
        tensor([3.0000, 2.7168])
    """

    def __init__(self, bins: Bins = 8) -> None:
        super().__init__()
        self.bins = bins
        self.params: int = 3 * bins + 1

    def forward(self, u: Tensor, params: Tensor) -> tuple[Tensor, Tensor]:  # noqa: D102
        places, raw, rotation = self._split(u, params)
        value = wrapped(u).expand(rotation.shape)
        x, log_slope = solve(bin_of(places, raw, value, along=1), value)
        return wrapped(x + rotation), -log_slope

    def inverse(self, x: Tensor, params: Tensor) -> tuple[Tensor, Tensor]:  # noqa: D102
        places, raw, rotation = self._split(x, params)
        value = wrapped(x - rotation)
        u, log_slope = evaluate(bin_of(places, raw, value, along=0), value)
        return wrapped(u), log_slope

    def _split(self, value: Tensor, params: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The knots, the parameters of the slopes at them, and the rotation."""
        first = parameters_first(value, params)
        sizes, raw, rotation = first.split([2 * self.bins, self.bins, 1])
        return knots(sizes, bound=math.pi), torch.cat([raw, raw[:1]]), rotation.squeeze(0)


class ByFeature(UnivariateMap):
    """One map for the features that are angles, and another one for the others.

    Either map takes the first of a feature's parameters, as many as it needs.

    Args:
        line: the map of the others.
        circle: the map of angles.
        angles: which features are angles; some are, and some are not.

    Example:
        >>> from flowbench.transforms import AffineMap
        >>> both = ByFeature(AffineMap(), CircularSplineMap(), angles=[True, False])
        >>> params = torch.zeros(2, both.params)
        >>> params[1, 0] = 3.0
        >>> both(torch.tensor([1.0, 10.0]), params)[0]
        tensor([ 1., 13.])
    """

    places: Tensor
    restore: Tensor

    def __init__(
        self, line: UnivariateMap, circle: UnivariateMap, *, angles: Sequence[bool]
    ) -> None:
        super().__init__()
        self.line = line
        self.circle = circle
        self.angles: list[bool] = list(angles)
        self.params: int = max(line.params, circle.params)
        places = torch.tensor(self.angles).long().argsort(stable=True)
        self.register_buffer("places", places, persistent=False)
        self.register_buffer("restore", places.argsort(), persistent=False)

    def forward(self, u: Tensor, params: Tensor) -> tuple[Tensor, Tensor]:  # noqa: D102
        return self._both(self.line.forward, self.circle.forward, u, params)

    def inverse(self, x: Tensor, params: Tensor) -> tuple[Tensor, Tensor]:  # noqa: D102
        return self._both(self.line.inverse, self.circle.inverse, x, params)

    def runs(self, features: Sequence[int]) -> list[tuple[UnivariateMap, int]]:  # noqa: D102
        kinds = groupby(features, key=self.angles.__getitem__)
        return [(self.circle if angle else self.line, len([*run])) for angle, run in kinds]

    def _both(
        self, line: Direction, circle: Direction, value: Tensor, params: Tensor
    ) -> tuple[Tensor, Tensor]:
        sizes = [self.angles.count(False), self.angles.count(True)]
        values = value.index_select(-1, self.places).split(sizes, dim=-1)
        chosen = params.index_select(-2, self.places).split(sizes, dim=-2)
        mapped = [
            direction(part, own[..., : kind.params])
            for direction, kind, part, own in zip(
                (line, circle), (self.line, self.circle), values, chosen, strict=True
            )
        ]
        output, logs = (torch.cat(parts, dim=-1) for parts in zip(*mapped, strict=True))
        return output.index_select(-1, self.restore), logs.index_select(-1, self.restore)


def by_feature(line: UnivariateMap, angles: Sequence[bool], *, bins: int) -> UnivariateMap:
    """The map of features some, all or none of which are angles.

    Args:
        line: the map of those that are not.
        angles: which features are angles.
        bins: number of bins of the `CircularSplineMap` of those that are.

    Example:
        >>> from flowbench.transforms import ShiftMap
        >>> [type(by_feature(ShiftMap(), of, bins=4)).__name__ for of in ([True], [False])]
        ['CircularSplineMap', 'ShiftMap']
    """
    if not any(angles):
        return line
    circle = CircularSplineMap(bins)
    return circle if all(angles) else ByFeature(line, circle, angles=angles)


def wrapped(value: Tensor) -> Tensor:
    """A number modulo 2π, in [−π, π].

    Example:
        >>> wrapped(torch.tensor([1.0, 4.0]))
        tensor([ 1.0000, -2.2832])
    """
    turned = torch.remainder(value + math.pi, 2 * math.pi) - math.pi
    return torch.where(value.abs() <= math.pi, value, turned)
