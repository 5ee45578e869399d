"""Numbers as text, for the screen and for pages, rounded to the precision of their errors."""

import math

__all__ = [
    "MISSING",
    "counted",
    "decimals",
    "duration",
    "estimate",
    "fixed",
    "integer",
    "rate",
    "rounded",
    "signed",
    "with_error",
]

MISSING = "—"


def fixed(value: float, places: int = 4) -> str:
    """A number for the screen, in a form that programs can parse.

    Example:
        >>> fixed(-1.23456)
        '-1.2346'
    """
    return f"{value:.{places}f}"


def estimate(value: float, error: float | None, unit: str = "nats") -> str:
    """A value with its error, if known, and its unit, for the screen.

    Example:
        >>> estimate(-1.23456, 0.01), estimate(0.5, None)
        ('-1.2346 ± 0.0100 nats', '0.5000 nats')
    """
    known = fixed(value) if error is None else f"{fixed(value)} ± {fixed(error)}"
    return f"{known} {unit}"


def with_error(value: float | None, error: float | None) -> str:
    """A value and its error for a page, to two digits of the error.

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
    """A difference for a page, with its sign, to two digits of its error.

    Example:
        >>> signed(0.0213, 0.011), signed(-7.0, 0.5), signed(-0.003, 2.0)
        ('+0.021', '−7.00', '+0.0')
    """
    return MISSING if value is None else _minus(f"{value:+z,.{decimals(error)}f}")


def rounded(value: float | None, error: float | None) -> str:
    """A value for a page, to two digits of an error that is not shown.

    Example:
        >>> rounded(-1366.903, 1.437)
        '−1,366.9'
    """
    return "" if value is None else _minus(f"{value:z,.{decimals(error)}f}")


def decimals(error: float | None) -> int:
    """The number of decimal places that show two digits of an error, at most four."""
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


def counted(count: int, nouns: str) -> str:
    """A count of things, whose plural ends in s.

    Example:
        >>> counted(1, "rows"), counted(54040, "rows")
        ('1 row', '54,040 rows')
    """
    return f"{integer(count)} {nouns.removesuffix('s') if count == 1 else nouns}"


def rate(value: float | None) -> str:
    """A number per second, to two digits.

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
