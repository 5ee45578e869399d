"""The univariate maps that flows know by name, and their options.

To add a map, add a line to `Univariate` and to `MAPS`, and a line to `MapOptions` for each of its
options. The default, limits and meaning of an option come from the constructor of its map.
"""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, TypedDict, Unpack

from flowbench.config.options import Option, options_of
from flowbench.transforms.spline import RationalQuadraticMap
from flowbench.transforms.univariate import AffineMap, GatedMap, ShiftMap, UnivariateMap

__all__ = [
    "MAPS",
    "MAP_NEEDS",
    "MapOptions",
    "NamedMap",
    "Univariate",
    "bins_of",
    "map_options",
    "univariate_map",
]

Univariate = Literal["affine", "shift", "gated", "spline"] | UnivariateMap


class NamedMap(NamedTuple):
    """A map with a name.

    Attributes:
        kind: its class.
        options: flow options mapped to arguments of the class.
    """

    kind: type[UnivariateMap]
    options: Mapping[str, str]


MAPS: Mapping[str, NamedMap] = {
    "affine": NamedMap(AffineMap, {"log_scale_bound": "bound"}),
    "shift": NamedMap(ShiftMap, {}),
    "gated": NamedMap(GatedMap, {}),
    "spline": NamedMap(RationalQuadraticMap, {"bins": "bins", "tail_bound": "bound"}),
}


MAP_NEEDS = {option: {"univariate": name} for name, one in MAPS.items() for option in one.options}


class MapOptions(TypedDict, total=False):
    """Map options of a flow; those of maps other than the chosen one are ignored."""

    log_scale_bound: float | None
    bins: int
    tail_bound: float


def map_options() -> Mapping[str, Option]:
    """The options in `MapOptions`, with limits, defaults and meanings.

    Example:
        >>> parameter, meaning = map_options()["tail_bound"]
        >>> parameter.default, meaning.partition(";")[0]
        (3.0, 'of the map "spline": B, half the width of the interval')
    """
    return {
        name: Option(parameter.replace(name=name), f'of the map "{univariate}": {meaning}')
        for univariate, (kind, names) in MAPS.items()
        for name, argument in names.items()
        for parameter, meaning in [options_of(kind)[argument]]
    }


def bins_of(options: Mapping[str, Any]) -> int:
    """The number of bins of splines, given or by default.

    Example:
        >>> bins_of({"bins": 4}), bins_of({})
        (4, 8)
    """
    return options.get("bins", map_options()["bins"].parameter.default)


def univariate_map(univariate: Univariate, **options: Unpack[MapOptions]) -> UnivariateMap:
    """The univariate map with a given name, or the given map itself.

    Args:
        univariate: a name in `MAPS`, or a `UnivariateMap`.
        options: of any map; the chosen one uses its own.

    Raises:
        ValueError: an option is out of range.

    Example:
        >>> univariate_map("spline", bins=4).params
        11
    """
    if isinstance(univariate, UnivariateMap):
        return univariate
    kind, names = MAPS[univariate]
    return kind(**{argument: options[name] for name, argument in names.items() if name in options})
