"""Columns that other columns determine: constant, repeated, or linear combinations."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from flowbench.data.chunks import chunks
from flowbench.data.moments import Moments, correlations, moments
from flowbench.data.options import DataError
from flowbench.data.selection import Selection

__all__ = ["Dependent", "dependent_columns", "refuse_dependent"]

TOLERANCE = 1e-5  # of a standard deviation
ALMOST = 1e-2
ROUNDINGS = 4  # of the type of the numbers, which count as no variation
SHOWN = 4
Floats = NDArray[np.float64]


class Dependent(NamedTuple):
    """A column that earlier ones determine.

    Attributes:
        column: its number, from 0.
        sentence: how they do.
        remainder: the standard deviation of what is left of it, less its best linear prediction,
            as a share of its own: at most 1e-5 if it is determined, at most 1e-2 if almost.
        exact: whether it is determined, and not almost.
    """

    column: int
    sentence: str
    remainder: float
    exact: bool


def dependent_columns(
    x: NDArray[Any] | Selection, names: Sequence[str], *, given: int = 0
) -> list[Dependent]:
    r"""The columns of `[rows, columns]` that are linear combinations of those before them.

    On such columns a density has no bound. Column j is regressed on the columns before it that are
    not themselves dependent, in float64, by elimination in the correlation matrix. It is dependent
    if the residual has a standard deviation of at most 10⁻⁵ of its own, or of four roundings of
    the type of the numbers (if these are at most 10⁻³ of it). Without more rows than columns, only
    constant columns are found. Rows with missing cells (NaN) tell nothing but which columns vary.

    Args:
        x: the rows.
        names: names of the columns.
        given: the number of first columns that may be dependent.

    Returns:
        Constant, dependent and almost dependent columns, in order.

    Example:
        >>> celsius = np.array([10.0, 25.0, 18.0, 7.0])
        >>> found = dependent_columns(np.stack([celsius, 32 + 1.8 * celsius], 1), ["c", "f"])
        >>> [(one.column, one.sentence) for one in found]
        [(1, "'f' = 32 + 1.8 · 'c'")]
    """
    every = moments(x)
    x = _without_holes(x)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        found = moments(x) if len(x) else every
        matrix = correlations(x, found) if len(x) else np.eye(x.shape[1])
        noise = _rounding(x) * np.hypot(found.mean, found.std) / found.std
        limits = np.maximum(TOLERANCE, np.minimum(noise, 1e-3))
    varying = [j for j in range(x.shape[1]) if found.low[j] < found.high[j]]
    if len(x) <= x.shape[1]:
        matrix = np.eye(x.shape[1])
    remainders = _remainders(matrix[np.ix_(varying, varying)], limits[varying])
    free = [j for j, left in zip(varying, remainders, strict=True) if left > limits[j]]
    dependent: list[Dependent] = []
    for column, name in enumerate(names):
        if column < given:
            continue
        if column not in varying and every.low[column] < every.high[column]:
            continue  # it varies, but not in the rows without missing cells
        if column not in varying:
            sentence = f"{name!r} is constant ({found.low[column] + 0.0:g})"
            dependent.append(Dependent(column, sentence, 0.0, exact=True))
            continue
        left = float(remainders[varying.index(column)])
        if left <= max(ALMOST, limits[column]):
            exact = bool(left <= limits[column])
            others = [j for j in free if j < column]
            sentence = _sentence(column, others, matrix, found, names)
            dependent.append(Dependent(column, sentence, left, exact))
    return dependent


def refuse_dependent(
    x: NDArray[Any] | Selection, names: Sequence[str], *, where: str, way: str, given: int = 0
) -> None:
    """Refuse columns that others determine: they have no density.

    Args:
        x: `[rows, columns]`.
        names: names of the columns.
        where: how the message refers to the rows.
        way: what to do, as the end of the sentence.
        given: the number of first columns that may be dependent.

    Raises:
        DataError: naming the columns.
    """
    if exact := [one.sentence for one in dependent_columns(x, names, given=given) if one.exact]:
        more = f" and {len(exact) - SHOWN} more like it" if len(exact) > SHOWN else ""
        raise DataError(
            f"{where}: {', '.join(exact[:SHOWN])}{more} (to 10⁻⁵ of a standard "
            f"deviation), where a density has no bound; {way}"
        )


def _without_holes(x: NDArray[Any] | Selection) -> NDArray[Any] | Selection:
    """The rows without missing cells; the rows as they are if all are so."""
    whole = [~np.isnan(x[rows]).any(axis=1) for rows in chunks(*x.shape)]
    if all(part.all() for part in whole):
        return x
    parts = zip(chunks(*x.shape), whole, strict=True)
    return np.concatenate([x[rows][kept] for rows, kept in parts])


def _rounding(x: NDArray[Any] | Selection) -> float:
    kind = np.dtype(x.dtype)
    return ROUNDINGS * float(np.finfo(kind).eps) if kind.kind == "f" else 0.0


def _remainders(matrix: Floats, limits: Floats) -> Floats:
    """The residual of each column, as a share of its standard deviation."""
    rest = matrix.copy()
    left = np.zeros(len(matrix))
    for j in range(len(matrix)):
        left[j] = np.sqrt(max(rest[j, j], 0.0))
        if left[j] > limits[j]:
            rest[j + 1 :, j + 1 :] -= np.outer(rest[j + 1 :, j], rest[j, j + 1 :]) / rest[j, j]
    return left


def _sentence(
    column: int, others: list[int], matrix: Floats, found: Moments, names: Sequence[str]
) -> str:
    """The linear combination in the units of the columns."""
    shares = np.linalg.solve(matrix[np.ix_(others, others)], matrix[others, column])
    part = np.abs(shares) > 1e-3 * np.abs(shares).max()
    terms = [other for other, counts in zip(others, part, strict=True) if counts]
    factors = shares[part] * found.std[column] / found.std[terms]
    constant = float(found.mean[column] - factors @ found.mean[terms])
    if abs(constant) < 1e-4 * found.std[column]:
        constant = 0.0
    name = repr(names[column])
    if len(terms) > SHOWN:
        shown = ", ".join(repr(names[term]) for term in terms[:SHOWN])
        return f"{name} is a linear combination of {len(terms)} columns ({shown}, …)"
    if np.allclose(factors, -1, atol=1e-3):
        added = [*(repr(names[term]) for term in terms), name]
        return f"{' + '.join(added)} is constant ({constant:.5g})"
    if len(terms) == 1 and constant == 0 and np.isclose(factors[0], 1, atol=1e-3):
        return f"{name} repeats {names[terms[0]]!r}"
    signs = [("−" if factor < 0 else "+", abs(float(factor))) for factor in factors]
    text = "".join(
        f" {sign} {names[term]!r}" if np.isclose(size, 1, atol=1e-3)
        else f" {sign} {size:.5g} · {names[term]!r}"
        for term, (sign, size) in zip(terms, signs, strict=True)
    )  # fmt: skip
    return f"{name} = {constant:.5g}{text}" if constant else f"{name} ={text.removeprefix(' +')}"
