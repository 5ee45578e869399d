"""In-memory rows as a data module."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flowbench.data.base import DataModule
from flowbench.data.dependence import refuse_dependent
from flowbench.data.moments import refuse_non_finite, standardize, unscaled
from flowbench.data.options import DataError
from flowbench.data.raw import RawData
from flowbench.dense import as_tensor
from flowbench.formatting import counted
from flowbench.frames import by_name, column_names

__all__ = ["Arrays", "Pair", "held_out", "validation_pair"]


@dataclass(frozen=True)
class Pair:
    """Rows `[rows, features]` and their contexts `[rows, context_features]` or `[rows, …]`.

    Attributes:
        x: the rows.
        context: their contexts, or None.
        weight: how much each counts, or None: all the same.
        names: "x" and "context" → the names of the columns, or placeholders: x[:, 0], …
    """

    x: NDArray[Any]
    context: NDArray[Any] | None
    names: Mapping[str, list[str]] = field(default_factory=dict)
    weight: NDArray[np.float64] | None = None

    @classmethod
    def of(
        cls, x: Any, context: Any, weight: Any = None, *, prefix: str = "", missing: bool = False
    ) -> "Pair":
        """A pair from tensors, arrays, lists or data frames, without rows of weight 0.

        Args:
            x: the rows.
            context: their contexts, or None.
            weight: how much each counts, or None: all the same.
            prefix: to the names of these in messages.
            missing: accept NaN in x, a missing cell.

        Raises:
            DataError: one is not finite numbers `[rows, features]`, or has several columns of one
                name, or they differ in length, or a weight is negative, or all are 0.
        """
        parts, names = {}, {}
        for name, given in (("x", x), ("context", context)):
            if given is not None or name == "x":
                parts[name] = part = _numbers(f"{prefix}{name}", given)
                names[name] = column_names(given) or _places(name, part)
                _refuse_repeated(f"{prefix}{name}", names[name])
                flat = part.reshape(len(part), -1)
                where = f"{prefix}{name}"
                if name == "x":
                    _refuse_missing(flat, names[name], where=where, accepted=missing)
                else:
                    refuse_non_finite(flat, names[name], where=where)
        pair = cls(parts["x"], parts.get("context"), names)
        if pair.context is not None and len(pair.x) != len(pair.context):
            raise DataError(
                f"{prefix}x has {counted(len(pair.x), 'rows')} and {prefix}context "
                f"{len(pair.context)}"
            )
        if weight is None:
            return pair
        counts = _weights(f"{prefix}weights", weight, len(pair.x))
        return replace(pair, weight=counts).rows(np.flatnonzero(counts))

    def rows(self, index: NDArray[np.int64]) -> "Pair":
        """Some of the rows."""
        context = None if self.context is None else self.context[index]
        weight = None if self.weight is None else self.weight[index]
        return replace(self, x=self.x[index], context=context, weight=weight)


def held_out(pair: Pair, share: float, *, seed: int) -> dict[str, Pair]:
    """Training rows and held-out validation rows, drawn by the seed.

    Raises:
        DataError: one of the two is empty.
    """
    rows = len(pair.x)
    size = round(share * rows)
    if not 0 < size < rows:
        raise DataError(
            f"validation={share} of {counted(rows, 'rows')} holds out {size}, expected at least "
            "one, and others to train on"
        )
    order = np.random.default_rng(seed).permutation(rows)
    return {"train": pair.rows(order[size:]), "val": pair.rows(order[:size])}


def validation_pair(given: Any, train: Pair, *, missing: bool = False) -> Pair:
    """The caller's validation rows, given alone or as a tuple with their contexts.

    They count all the same.

    Raises:
        DataError: they do not match the training rows.
    """
    x, context = given if isinstance(given, tuple) and len(given) == 2 else (given, None)
    if isinstance(x, tuple) or (context is None) != (train.context is None):
        expected = "rows" if train.context is None else "a tuple of rows and their contexts"
        raise DataError(f"validation: expected {expected}, or the share of x to hold out")
    try:
        x = by_name("validation x", x, train.names["x"])
        context = by_name("validation context", context, train.names.get("context", []))
    except ValueError as error:
        raise DataError(str(error)) from error
    pair = Pair.of(x, context, prefix="validation ", missing=missing)
    for name, names in pair.names.items():
        if len(names) != len(train.names[name]):
            raise DataError(
                f"validation {name} has {counted(len(names), 'columns')}, expected the "
                f"{len(train.names[name])} of {name}"
            )
    return pair


class Arrays(DataModule):
    """In-memory rows; the test split is the validation split.

    Args:
        splits: the rows of "train" and "val".
        standardized: scale rows and contexts to mean 0 and standard deviation 1; contexts that
            are not vectors, or in one-hot form, are left unchanged.
        batch_size: maximum number of rows per optimiser step.
        seed: seeds the order of batches.
        discrete: whether values are 0 and 1 with probabilities, which columns that others
            determine have, and densities do not.
        circular: columns that are angles in radians, which are left unchanged.
        missing: accept NaN in rows, a missing cell.
    """

    split_by_chance = True

    def __init__(
        self,
        splits: Mapping[str, Pair],
        *,
        standardized: bool,
        batch_size: int,
        seed: int,
        discrete: bool = False,
        circular: Sequence[int] = (),
        missing: bool = False,
    ) -> None:
        super().__init__(batch_size=batch_size, seed=seed)
        self.splits: dict[str, Pair] = {**splits, "test": splits["val"]}
        self.standardized = standardized
        self.discrete = discrete
        self.circular = circular
        self.missing = missing

    def read(self) -> RawData:  # noqa: D102
        train = self.splits["train"]
        if not self.discrete:
            _refuse_dependent(train)
        return RawData(
            x={split: pair.x for split, pair in self.splits.items()},
            preprocess=self._steps("x", train.x),
            feature_names=train.names["x"],
            context={s: p.context for s, p in self.splits.items() if p.context is not None},
            context_preprocess=self._steps("context", train.context),
            circular=self.circular,
            weight=self._weight(),
            missing=self.missing,
        )

    def _weight(self) -> dict[str, NDArray[np.float64]]:
        """The weights of all splits, if any of them has some."""
        if all(pair.weight is None for pair in self.splits.values()):
            return {}
        return {
            split: np.ones(len(pair.x)) if pair.weight is None else pair.weight
            for split, pair in self.splits.items()
        }

    def _steps(self, name: str, part: NDArray[Any] | None) -> list[dict[str, Any]]:
        if not self.standardized or part is None or part.ndim > 2:
            return []
        if name == "context" and _is_one_hot(part):
            return []
        names = self.splits["train"].names[name]
        weight = self.splits["train"].weight
        steps = standardize(
            part,
            names,
            where="training rows",
            constant=name == "context",
            weight=None if weight is None else weight / weight.mean(),
        )
        return unscaled(steps, self.circular) if name == "x" else steps


def _is_one_hot(part: NDArray[Any]) -> bool:
    """Whether every row names one of several classes, whose flags no scale should change."""
    return part.shape[1] > 1 and bool(
        np.isin(part, (0, 1)).all() and (part.sum(axis=1) == 1).all()
    )


def _refuse_dependent(train: Pair) -> None:
    """Refuse columns that others, or vectors of contexts, determine."""
    parts, names = [train.x], train.names["x"]
    if train.context is not None and train.context.ndim == 2:
        parts, names = [train.context, train.x], [*train.names["context"], *names]
    refuse_dependent(
        np.concatenate(parts, axis=1),
        names,
        where="training rows",
        way="leave out such columns",
        given=len(names) - train.x.shape[1],
    )


def _numbers(name: str, given: Any) -> NDArray[Any]:
    try:
        part = as_tensor(name, given).detach().cpu().numpy()
    except ValueError as error:
        raise DataError(str(error)) from error
    dimensions = max(2, part.ndim) if name.endswith("context") else 2
    if part.ndim != dimensions:
        sizes = "context_features" if name.endswith("context") else "features"
        way = f"; {name.split()[-1]}[:, None] has one column" if part.ndim == 1 else ""
        raise DataError(f"{name} has shape {part.shape}, expected [rows, {sizes}]{way}")
    return part


def _refuse_repeated(where: str, names: Sequence[str]) -> None:
    if repeated := [name for name, count in Counter(names).items() if count > 1]:
        told = ", ".join(map(repr, repeated))
        raise DataError(f"{where} has several columns of one name ({told}): rename them")


def _refuse_missing(x: NDArray[Any], names: Sequence[str], *, where: str, accepted: bool) -> None:
    try:
        refuse_non_finite(x, names, where=where, missing=accepted)
    except DataError as error:
        if accepted or not np.isnan(x).any():
            raise
        raise DataError(
            f"{error}; leave out such rows, or fit Gaussian or GaussianMixture, for which NaN is "
            "a missing cell"
        ) from error


def _weights(name: str, given: Any, rows: int) -> NDArray[np.float64]:
    try:
        weight = as_tensor(name, given).detach().cpu().double().numpy()
    except ValueError as error:
        raise DataError(str(error)) from error
    if weight.shape != (rows,):
        raise DataError(f"{name} has shape {weight.shape}, expected one for each of {rows} rows")
    [wrong] = np.nonzero(~((weight >= 0) & np.isfinite(weight)))
    if len(wrong):
        more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        raise DataError(
            f"{name}: row {wrong[0] + 1} is {weight[wrong[0]]:g}{more}, expected finite "
            "numbers of at least 0"
        )
    if not weight.any():
        raise DataError(f"{name}: all of them are 0, expected some above 0")
    return weight


def _places(name: str, part: NDArray[Any]) -> list[str]:
    places = np.ndindex(part.shape[1:])
    return [f"{name}[:, {', '.join(map(str, place))}]" for place in places]
