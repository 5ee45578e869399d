"""A finished run, opened again: its density and its data."""

import json
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flowbench.checkpoint import CheckpointError, TrainedDensity, load
from flowbench.config.signatures import parameters
from flowbench.data import DataModule
from flowbench.evaluation.clips import per_event
from flowbench.evaluation.likelihood import log_likelihoods
from flowbench.evaluation.noise import rows_by_draw
from flowbench.foreign import refuse_foreign
from flowbench.from_config import build_data

__all__ = ["Run", "open_run", "same_rows"]


@dataclass(frozen=True, kw_only=True)
class Run:
    """A density, and its data where they are asked for.

    A run may come from strangers: its configuration says which files are read, but neither where
    anything is written nor that anything is downloaded.

    Attributes:
        path: the run folder.
        density: as `flowbench.load` gives it.
        kind: the class of its data module; None if it was fitted to rows in memory.
        cache: folder of converted data; None: environment variable FLOWBENCH_CACHE, else `cache`.
        download: fetch original data that are missing.
    """

    path: Path
    density: TrainedDensity
    kind: type[DataModule] | None
    cache: Path | None = None
    download: bool = False

    @classmethod
    def of(cls, run: str | Path, *, trust: bool = False, **options: Any) -> "Run":
        """Load the density of a run; its data are read when they are needed.

        Args:
            run: a run folder (its best checkpoint is taken) or a checkpoint file.
            trust: also build classes from outside flowbench.
            options: `cache` and `download`.

        Raises:
            CheckpointError: there is no readable checkpoint, or it names a foreign class.
        """
        density, path, kind = load(run, trust=trust), Path(run), None
        if config := density.config.get("data"):
            if not trust:
                refuse_foreign(config, what="data module", path=path)
            try:
                kind = resolve_name(config["_target_"])
            except (KeyError, TypeError, ValueError, ImportError, AttributeError) as error:
                raise CheckpointError(f"{path}: no such data module ({error})") from error
        return cls(path=path, density=density, kind=kind, **options)

    @cached_property
    def data(self) -> DataModule:
        """The data module of its configuration, set up.

        Raises:
            CheckpointError: the density was fitted to rows in memory, the configuration does
                not fit the data module, or the data are no longer those of the training.
            DataError: the data cannot be read.
        """
        if self.kind is None:
            raise CheckpointError(
                f"{self.path}: this density was fitted to rows in memory, so that there are no "
                "data to read again; flowbench.load gives what can sample and score"
            )
        config = dict(self.density.config["data"])
        if "cache_dir" in (parameters(self.kind) or {}):
            config["cache_dir"] = self.cache or os.environ.get("FLOWBENCH_CACHE") or "cache"
        try:
            data = build_data(config)
        except (TypeError, ValueError) as error:
            raise CheckpointError(
                f"{self.path}: the data module cannot be built: {error}"
            ) from error
        if self.download or not self.kind.__module__.startswith("flowbench."):
            data.prepare_data()
        data.setup()
        known = _recorded(self.path)
        if known not in (None, data.raw.sha256):
            raise CheckpointError(
                f"{self.path}: the data have changed since it was trained (SHA-256 {known[:12]}…, "
                f"now {data.raw.sha256[:12]}…), and with them the split and the preprocessing: "
                "restore them, or score a file with --data"
            )
        sizes = self.density.flow.features, self.density.context_features
        if (data.features, data.context_features) != sizes:
            raise CheckpointError(
                f"{self.path}: the data have {data.features} features and {data.context_features} "
                f"of context, and the density is of {sizes[0]} and {sizes[1]}"
            )
        return data

    def data_space(self, split: str, *, draws: int = 1) -> Tensor:
        """Log-likelihoods of all events of a split in data units, float64 `[events]`.

        Args:
            split: "train", "val" or "test".
            draws: how many draws of the dequantisation noise they are means over.
        """
        terms = [
            per_event(log_likelihoods(self.density.flow, rows) + rows.log_det, self.data)
            for rows in rows_by_draw(self.data, split, draws)
        ]
        return torch.stack(terms).mean(0)


def _recorded(run: Path) -> str | None:
    """The SHA-256 of the data of a run, in the folder that its checkpoint lies in."""
    folder = run if run.is_dir() else run.absolute().parents[1]
    try:
        with (folder / "data.json").open("rb") as file:
            known = json.loads(file.read(10_000)).get("sha256")
    except (OSError, ValueError, AttributeError):
        return None
    return known if isinstance(known, str) else None


def open_run(run: str | Path, *, trust: bool = False, **options: Any) -> Run:
    """Load the density of a run and set up the data of its configuration.

    Args:
        run: a run folder (its best checkpoint is taken) or a checkpoint file.
        trust: also build classes from outside flowbench.
        options: `cache` and `download`, see `Run`.

    Raises:
        CheckpointError: there is no readable checkpoint, it names a foreign class, or it has no
            data.
        DataError: the data cannot be read.
    """
    opened = Run.of(run, trust=trust, **options)
    opened.data  # noqa: B018 (reads them)
    return opened


def same_rows(first: Run, second: Run, split: str) -> None:
    """Refuse to compare two runs row by row unless they have the same rows.

    Raises:
        ValueError: the data or the split differ.
    """
    one, other = first.data.raw, second.data.raw
    same = _equal(one.x[split], other.x[split]) and _equal(
        *(np.asarray(raw.weight.get(split, ())) for raw in (one, other))
    )
    if one.sha256 != other.sha256 or not same:
        raise ValueError(
            f"{first.path} and {second.path} do not have the same {split} rows, which a paired "
            "comparison needs"
        )


def _equal(one: NDArray[Any], other: NDArray[Any], *, chunk: int = 65536) -> bool:
    starts = range(0, max(len(one), len(other)), chunk)
    parts = (slice(start, start + chunk) for start in starts)
    return all(np.array_equal(one[part], other[part], equal_nan=True) for part in parts)
