"""The space of a search, written in Hydra's grammar for overrides, as Optuna's distributions."""

from collections.abc import Iterable
from typing import Any

from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep

from flowbench.config.configuration import ConfigError

__all__ = ["search_space"]


def search_space(overrides: Iterable[Override]) -> dict[str, Any]:
    """Key → `optuna.distributions.BaseDistribution`, of the overrides that leave a choice.

    Raises:
        ConfigError: there is none, or one that nothing can be drawn from.

    Example:
        >>> from hydra.core.override_parser.overrides_parser import OverridesParser
        >>> texts = ["a=relu,tanh", "b=range(1,6)", "c=tag(log,interval(1e-4,1e-2))", "d=3"]
        >>> for item in search_space(OverridesParser.create().parse_overrides(texts)).items():
        ...     print(*item)
        a CategoricalDistribution(choices=('relu', 'tanh'))
        b IntDistribution(high=5, log=False, low=1, step=1)
        c FloatDistribution(high=0.01, log=True, low=0.0001, step=None)
    """
    space = {
        override.get_key_element(): _distribution(override)
        for override in overrides
        if override.is_sweep_override()
    }
    if not space:
        raise ConfigError(
            "there is nothing to search: give a choice, e.g. model.layers=range(1,6) or "
            '"training.learning_rate=tag(log,interval(1e-4,1e-2))"'
        )
    return space


def _distribution(override: Override) -> Any:
    from optuna.distributions import CategoricalDistribution

    value: Any = override.value()
    try:
        if isinstance(value, IntervalSweep):
            return _numbers(value.start, value.end, log="log" in value.tags)
        if isinstance(value, RangeSweep):
            ends = list(value.range())[:: 1 if value.step > 0 else -1]
            return _numbers(ends[0], ends[-1], log="log" in value.tags, step=abs(value.step))
        return CategoricalDistribution(list(dict.fromkeys(override.sweep_string_iterator())))
    except (ValueError, IndexError) as error:
        reason = error if isinstance(error, ValueError) else "the range is empty"
        raise ConfigError(f"{override.input_line}: {reason}") from error


def _numbers(low: Any, high: Any, *, log: bool, step: Any = None) -> Any:
    from optuna.distributions import FloatDistribution, IntDistribution

    if isinstance(low, int) and isinstance(high, int):
        return IntDistribution(low, high, log=log, step=step or 1)
    return FloatDistribution(low, high, log=log, step=step)
