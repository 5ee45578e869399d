"""The space of a search: Hydra's overrides as Optuna's distributions."""

from collections.abc import Iterable, Mapping
from typing import Any

from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep

from flowbench.config.configuration import ConfigError

__all__ = ["ends", "search_space"]


def search_space(overrides: Iterable[Override]) -> dict[str, Any]:
    """Key → `optuna.distributions.BaseDistribution`, for the overrides that are sweeps.

    Raises:
        ConfigError: there are none, or one is empty.

    Example:
        >>> from hydra.core.override_parser.overrides_parser import OverridesParser
        >>> texts = ["a=relu,tanh", "b=range(1,6)", "c=tag(log,interval(1e-4,1e-2))", "d=3"]
        >>> for item in search_space(OverridesParser.create().parse_overrides(texts)).items():
        ...     print(*item)
        a CategoricalDistribution(choices=('relu', 'tanh'))
        b IntDistribution(high=5, log=False, low=1, step=1)
        c FloatDistribution(high=0.01, log=True, low=0.0001, step=None)
    """
    swept = [override for override in overrides if override.is_sweep_override()]
    if not swept:
        raise ConfigError(
            "there is nothing to search: give a choice, e.g. model.layers=range(1,6) or "
            '"training.learning_rate=tag(log,interval(1e-4,1e-2))"'
        )
    return {override.get_key_element(): _distribution(override) for override in swept}


def ends(space: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The first values of all keys, and the last."""
    values = {key: getattr(of, "choices", None) or (of.low, of.high) for key, of in space.items()}
    return [{key: of[end] for key, of in values.items()} for end in (0, -1)]


def _distribution(override: Override) -> Any:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    value: Any = override.value()
    numbers: Any
    step: Any = None
    try:
        if isinstance(value, IntervalSweep):
            numbers = (value.start, value.end)
        elif isinstance(value, RangeSweep):
            numbers, step = sorted(value.range()), abs(value.step)
        else:
            return CategoricalDistribution(list(dict.fromkeys(override.sweep_string_iterator())))
        low, high, log = numbers[0], numbers[-1], "log" in value.tags
        if isinstance(low, int) and isinstance(high, int):
            return IntDistribution(low, high, log=log, step=step or 1)
        return FloatDistribution(low, high, log=log, step=step)
    except (ValueError, IndexError) as error:
        reason = error if isinstance(error, ValueError) else "the range is empty"
        raise ConfigError(f"{override.input_line}: {reason}") from error
