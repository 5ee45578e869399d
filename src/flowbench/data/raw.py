"""A data set in its own units."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flowbench.data.chunks import chunks
from flowbench.data.options import DataError

__all__ = ["SPLITS", "RawData"]

SPLITS = ("train", "val", "test")


@dataclass
class RawData:
    """A data set in its own units, before preprocessing.

    Attributes:
        x: split ("train", "val", "test") → array `[rows, features]`, maybe memory-mapped.
        preprocess: the steps from *data* units to model space, in this order, as plain values:
            `[{"name": "Standardize", "mean": […], "std": […]}, …]`; empty: nothing.
        feature_names: one per column of `x`; empty: x1, x2, …
        sha256: hash of the original files; empty: that of the arrays.
        context: split → array `[rows, context_features]`, or empty; contexts that are not
            vectors, `[rows, …]`, need a `model.embedding`.
        context_preprocess: the same as `preprocess`, for contexts.
        exact_log_likelihood: −entropy of the true density in data units, if known (nats).
        dequantized: whether data units are integers plus uniform noise, so that bits per
            dimension are meaningful.
        discrete: whether values are 0 and 1, and log-likelihoods are those of probabilities, also
            reported in bits.
        categories: categorical columns, the last features of the context: column → its labels,
            one feature each.
        lattices: dequantized columns of `x`: name → a point of its lattice and the step.
        atoms: columns of `x` with single values that have probabilities of their own: name →
            these values.
        circular: columns of `x`, from 0, that are angles in radians in model space.
        weight: split → how much each row counts, positive numbers `[rows]` of any scale; empty:
            all the same.
        missing: whether NaN in `x` is a missing cell, which few models accept.

    Raises:
        DataError: a split is missing, an array is not numeric `[rows, features]`, or a weight is
            not positive and finite.

    Example:
        >>> raw = RawData(x={split: np.ones((4, 2)) for split in ("train", "val", "test")})
        >>> raw.feature_names, raw.preprocess, len(raw.sha256)
        (['x1', 'x2'], [], 64)
    """

    x: Mapping[str, NDArray[Any]]
    preprocess: list[dict[str, Any]] = field(default_factory=list)
    feature_names: list[str] = field(default_factory=list)
    sha256: str = ""
    context: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    context_preprocess: list[dict[str, Any]] = field(default_factory=list)
    exact_log_likelihood: float | None = None
    dequantized: bool = False
    discrete: bool = False
    categories: Mapping[str, list[str]] = field(default_factory=dict)
    lattices: Mapping[str, Sequence[float]] = field(default_factory=dict)
    atoms: Mapping[str, Sequence[float]] = field(default_factory=dict)
    circular: Sequence[int] = ()
    weight: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    missing: bool = False

    def __post_init__(self) -> None:
        for split in SPLITS:
            _refuse_other_than_numbers(f"x[{split!r}]", self.x.get(split))
            if self.context:
                _refuse_other_than_numbers(f"context[{split!r}]", self.context.get(split))
            if self.weight:
                _refuse_other_than_weights(
                    f"weight[{split!r}]", self.weight.get(split), self.x[split]
                )
        features = self.x["train"].shape[1]
        self.feature_names = self.feature_names or [f"x{i + 1}" for i in range(features)]
        self.sha256 = self.sha256 or _sha256(
            [*self.x.values(), *self.context.values(), *self.weight.values()]
        )


def _refuse_other_than_numbers(name: str, array: Any) -> None:
    shape, dtype = getattr(array, "shape", None), getattr(array, "dtype", None)
    vectors = name.startswith("x")
    fits = shape is not None and (len(shape) == 2 or (len(shape) > 2 and not vectors))
    if not fits or getattr(dtype, "kind", "") not in "fiub":
        found = type(array).__name__ if shape is None else f"{dtype} of shape {tuple(shape)}"
        raise DataError(f"RawData: {name} is {found}, expected a NumPy array [rows, features]")


def _refuse_other_than_weights(name: str, array: Any, rows: NDArray[Any]) -> None:
    if np.shape(array) != (len(rows),) or not np.all((array > 0) & np.isfinite(array)):
        raise DataError(
            f"RawData: {name} is {np.shape(array)}, expected {len(rows)} positive and finite "
            "numbers, one per row"
        )


def _sha256(arrays: Iterable[NDArray[Any]]) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.shape} {array.dtype}".encode())
        for part in chunks(*array.shape):
            digest.update(np.ascontiguousarray(array[part]).data)
    return digest.hexdigest()
