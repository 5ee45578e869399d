"""The interface of every data set: rows in model space and the map that takes them there."""

import hashlib
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray

from flowbench import memory
from flowbench.config.checked import Checked
from flowbench.config.limits import AtLeastOne, Seed
from flowbench.data.cells import in_own_cells
from flowbench.data.chunks import chunks
from flowbench.data.levels import lattice_of, measure_of
from flowbench.data.loader import BatchLoader, Rows, SequentialLoader
from flowbench.data.options import DataError
from flowbench.data.resolution import warn_of_merged_values
from flowbench.transforms import Chain
from flowbench.transforms.present_cells import inverse_of_present
from flowbench.transforms.steps import build_preprocess

__all__ = ["DataError", "DataModule", "RawData"]

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


class DataModule(Checked, pl.LightningDataModule, ABC):
    """A data set for density estimation.

    A subclass provides its rows (`read`) and may convert originals once (`prepare_data`). After
    `setup`, `rows` holds the three splits in model space; large ones are memory-mapped in
    `cache_dir` if the subclass has one (see `memory.empty`).

    Args:
        batch_size: rows per optimiser step, in total over all devices.
        seed: seeds everything random: shuffled splits, dequantisation noise, order of batches.

    Raises:
        DataError: an option is out of range.
    """

    cache_dir: str | Path | None = None
    dtype: torch.dtype = torch.float32  # of rows in model space
    steps_per_item: int | None = 64  # how training gets its minibatches: see `BatchLoader`
    split_by_chance: bool = False  # whether any row may as well be in another split

    def __init__(self, *, batch_size: AtLeastOne = 256, seed: Seed = 0) -> None:
        super().__init__()
        self.batch_size = batch_size
        self.seed = seed
        self.rows: dict[str, Rows] = {}

    @classmethod
    def _refuse(cls, problems: list[str]) -> NoReturn:
        raise DataError("\n".join(f"data.{problem}" for problem in problems))

    @abstractmethod
    def read(self) -> RawData:
        """The data set in its own units; called on every process, after `prepare_data`.

        Returns:
            `RawData` with the rows of "train", "val" and "test", each `[rows, features]`; all
            other fields have defaults.
        """

    def fingerprint(self) -> str | None:
        """The `sha256` that `read` will give; a subclass returns it without reading if it can.

        Returns:
            The SHA-256, or None if the data are gone.
        """
        return self._read().sha256

    def setup(self, stage: str | None = None) -> None:
        """Map all splits to model space, once."""
        if self.rows:
            return
        self.raw: RawData = self._read()
        self.preprocess: Chain = build_preprocess(self.raw.preprocess)
        self.context_preprocess: Chain = build_preprocess(self.raw.context_preprocess)
        for split in SPLITS:
            rows = self.model_space(self.raw.x[split], self.raw.context.get(split))
            self.rows[split] = rows.changed(weight=_of_mean_one(self.raw.weight.get(split)))
        warn_of_merged_values(
            self.raw.x["train"],
            self.preprocess,
            dtype=self.dtype,
            names=self.raw.feature_names,
        )

    def _read(self) -> RawData:
        raw = self.read()
        if not isinstance(raw, RawData):
            raise DataError(
                f"{type(self).__name__}.read returned {type(raw).__name__}, expected "
                "flowbench.data.RawData"
            )
        return raw

    @property
    def features(self) -> int:
        """Size of an event."""
        return self.rows["train"].x.shape[-1]

    @property
    def context_features(self) -> int:
        """Number of context features, 0 if the data have none."""
        return math.prod(self.context_shape) if self.context_shape else 0

    @property
    def context_shape(self) -> tuple[int, ...]:
        """Shape of a context: `(context_features,)` if it is a vector."""
        context = self.rows["train"].context
        return () if context is None else tuple(context.shape[1:])

    @property
    def sizes(self) -> dict[str, Any]:
        """The keyword arguments of `build_flow` that the data determine."""
        sizes: dict[str, Any] = {"features": self.features}
        sizes |= {"context_features": self.context_features}
        if len(self.context_shape) > 1:
            sizes |= {"context_shape": list(self.context_shape)}
        if self.raw.circular:
            sizes |= {"circular": list(self.raw.circular)}
        if (lattice := self.lattice) is not None:
            sizes |= {"lattice": lattice}
        if (measure := self.measure) is not None:
            sizes |= {"measure": measure}
        return sizes

    @property
    def lattice(self) -> dict[str, Any] | None:
        """The lattice of all columns, as plain values for a model of levels; None: they have none.

        See `flowbench.flows.lattice_description.Lattice`.
        """
        raw = self.raw
        if raw.missing:
            return None
        found = lattice_of(raw.x["train"], raw.feature_names, raw.lattices)
        return None if found is None else found | {"preprocess": raw.preprocess}

    def has_missing_cells(self, split: str) -> bool:
        """Whether rows of a split have missing cells (NaN)."""
        return self.raw.missing and any(
            one.isnan().any() for one in self.rows[split].x.split(8192)
        )

    @property
    def measure(self) -> dict[str, Any] | None:
        """The measures of the columns, as plain values for a model that has densities for them.

        See `flowbench.flows.columns.Columns`; None: no column has a lattice or atoms.
        """
        raw = self.raw
        if raw.missing or not (raw.lattices or raw.atoms):
            return None
        columns = measure_of(raw.x["train"], raw.feature_names, raw.lattices, raw.atoms)
        return {"columns": columns, "preprocess": raw.preprocess}

    @property
    def batches(self) -> dict[str, Any]:
        """The options of `BatchLoader`."""
        names = ("batch_size", "seed", "steps_per_item")
        return {name: getattr(self, name) for name in names}

    @property
    def has_noise(self) -> bool:
        """Whether rows hold dequantisation noise."""
        return self.raw.dequantized or bool(self.raw.lattices)

    @property
    def other_measure(self) -> str | None:
        """What densities of the rows are with respect to, if not to their volume in data units.

        Their log-likelihoods stand beside no others.
        """
        return None

    def redrawn(self, split: str, draw: int) -> Rows:
        """The rows of a split with another draw of the dequantisation noise than in `rows`.

        Args:
            split: "train", "val" or "test".
            draw: its number, from 1; each gives the same rows whenever it is drawn.

        Raises:
            DataError: the data have no noise, or do not draw it themselves.
        """
        raise DataError(
            f"evaluation.draws: {type(self).__name__} draws no dequantisation noise of its own, "
            "expected 1, or a method redrawn(split, draw)"
        )

    def train_dataloader(self) -> BatchLoader:
        """Shuffled minibatches of the training rows."""
        return BatchLoader(self.rows["train"], **self.batches)

    def val_dataloader(self) -> SequentialLoader:
        """All validation rows, in order; with several ranks, each gets its share."""
        return SequentialLoader(self.rows["val"].share())

    def model_space(self, x: NDArray[Any], context: NDArray[Any] | None = None) -> Rows:
        """Rows `[rows, features]` in data units, and their contexts, mapped to model space.

        Raises:
            DataError: a row lies outside the domain of the preprocessing.
        """
        options = {"folder": self.cache_dir, "dtype": self.dtype}
        raw = self.raw
        own = in_own_cells(raw.feature_names, raw.lattices, raw.preprocess)
        u, log_det = _preprocessed(
            x, self.preprocess, missing=raw.missing, corrected=own, **options
        )
        if context is None:
            return Rows(u, None, log_det)
        given, _ = _preprocessed(context, self.context_preprocess, missing=False, **options)
        return Rows(u, given, log_det)


def _preprocessed(
    source: NDArray[Any],
    preprocess: Chain,
    *,
    missing: bool,
    folder: str | Path | None,
    dtype: torch.dtype,
    corrected: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    u = memory.empty(source.shape, dtype=dtype, folder=folder)
    vectors = u.flatten(1)
    log_det = memory.empty((len(source),), dtype=torch.float64, folder=folder)
    finite = torch.empty(len(source), dtype=torch.bool)
    for part in chunks(*source.shape):
        values = torch.from_numpy(np.array(source[part], np.float64)).flatten(1)
        mapped = inverse_of_present(preprocess, values) if missing else preprocess.inverse(values)
        vectors[part], log_det[part] = mapped
        if corrected is not None:
            vectors[part] = corrected(values, vectors[part])
        known = vectors[part].isfinite() | (values.isnan() if missing else False)
        finite[part] = log_det[part].isfinite() & known.all(-1)
    if outside := (~finite).nonzero().flatten().tolist():
        steps = ", ".join(type(step).__name__ for step in preprocess.transforms)
        raise DataError(
            f"{len(outside)} of {len(source)} rows, the first of them row {outside[0]} (from 0), "
            "have values that are not finite" + (f" or that {steps} cannot map" if steps else "")
        )
    return u, log_det


def _of_mean_one(weight: NDArray[Any] | None) -> torch.Tensor | None:
    if weight is None:
        return None
    exact = np.asarray(weight, np.float64)
    return torch.from_numpy(exact / exact.mean())
