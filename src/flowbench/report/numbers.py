"""Numbers as a reader wants them: to the digit that their error allows."""

import math

__all__ = ["MISSING", "decimals", "duration", "integer", "plain", "rate", "signed", "with_error"]

MISSING = "—"


def with_error(value: float | None, error: float | None) -> str:
    """A value and its error, to two digits of the error.

    Example:
        >>> with_error(-1366.903, 1.437), with_error(-3.53194, 0.0063), with_error(None, None)
        ('−1,366.9 ± 1.4', '−3.5319 ± 0.0063', '—')
    """
    if value is None:
        return MISSING
    if error is None or not math.isfinite(error):
        return _minus(f"{value:,.4g}")
    digits = decimals(error)
    return _minus(f"{value:z,.{digits}f} ± {error:,.{digits}f}")


def signed(value: float | None, error: float | None) -> str:
    """A difference, with its sign.

    Example:
        >>> signed(0.0213, 0.011), signed(-7.0, 0.5), signed(-0.003, 2.0)
        ('+0.021', '−7.00', '+0.0')
    """
    return MISSING if value is None else _minus(f"{value:+z,.{decimals(error)}f}")


def plain(value: float | None, error: float | None) -> str:
    """A value to the digits of an error that is not shown."""
    return "" if value is None else _minus(f"{value:,.{decimals(error)}f}")


def decimals(error: float | None) -> int:
    """How many decimal places show two digits of an error, at most four."""
    if not error or not math.isfinite(error):
        return 4
    return min(4, max(0, 1 - math.floor(math.log10(abs(error)))))


def integer(value: float | None) -> str:
    """A count.

    Example:
        >>> integer(54040.0)
        '54,040'
    """
    return MISSING if value is None else f"{value:,.0f}"


def rate(value: float | None) -> str:
    """Something per second, to two digits.

    Example:
        >>> rate(123456.0), rate(8.53)
        ('120,000', '8.5')
    """
    if value is None:
        return MISSING
    places = 1 - math.floor(math.log10(value)) if value > 0 else 0
    return f"{round(value, places):,.{max(0, places)}f}"


def duration(seconds: float | None) -> str:
    """A wall time in its two largest units.

    Example:
        >>> duration(0.42), duration(59.8), duration(92), duration(5402)
        ('0.4 s', '60 s', '1 min 32 s', '1 h 30 min')
    """
    if seconds is None:
        return MISSING
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def _minus(text: str) -> str:
    return text.replace("-", "−")
