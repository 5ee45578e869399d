"""The interface of every data set: rows in model space and the map that takes them there."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
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
from flowbench.data.raw import SPLITS, RawData
from flowbench.data.resolution import warn_of_merged_values
from flowbench.transforms import Chain
from flowbench.transforms.present_cells import inverse_of_present
from flowbench.transforms.steps import build_preprocess

__all__ = ["DataModule"]


class DataModule(Checked, pl.LightningDataModule, ABC):
    """A data set for density estimation.

    A subclass defines `read`, which returns `RawData(x={"train": …, "val": …, "test": …})`: arrays
    `[rows, features]` in the units of the data. It may convert its original files once, in
    `prepare_data`. After `setup`, `rows` holds the three splits in model space; large ones are
    memory-mapped in `cache_dir` if the subclass has one (see `memory.empty`).

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
    def context_names(self) -> list[str]:
        """Names of the numbers in a context, such as age, city=Bern; empty if they have none."""
        return []

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

        Their log-likelihoods are comparable with no others.
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
