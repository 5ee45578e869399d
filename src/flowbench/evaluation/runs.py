"""A finished run, opened again: its density and its data."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flowbench.checkpoint import (
    CheckpointError,
    TrainedDensity,
    build_data,
    load,
    refuse_foreign,
)
from flowbench.data import DataModule
from flowbench.evaluation.clips import per_event
from flowbench.evaluation.likelihood import log_likelihoods
from flowbench.evaluation.noise import rows_by_draw

__all__ = ["Run", "open_run", "same_rows"]


@dataclass(frozen=True)
class Run:
    """A density and its data, set up.

    Attributes:
        path: the run folder.
        density: as `flowbench.load` gives it.
        data: the data module of its configuration.
    """

    path: Path
    density: TrainedDensity
    data: DataModule

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


def open_run(run: str | Path, *, trust: bool = False) -> Run:
    """Load the density of a run and set up the data of its configuration.

    Args:
        run: a run folder (its best checkpoint is taken) or a checkpoint file.
        trust: also build classes from outside flowbench.

    Raises:
        CheckpointError: there is no readable checkpoint, or it names a foreign class.
        DataError: the data cannot be read.
    """
    density = load(run, trust=trust)
    if "data" not in density.config:
        raise CheckpointError(
            f"{run}: this density was fitted to rows in memory, so that there are no data to read "
            "again; flowbench.load gives what can sample and score"
        )
    config = density.config["data"]
    if not trust:
        refuse_foreign(config, what="data module", path=Path(run))
    data = build_data(config)
    data.prepare_data()
    data.setup()
    return Run(Path(run), density, data)


def same_rows(first: Run, second: Run, split: str) -> None:
    """Refuse to compare two runs row by row unless they have the same rows.

    Raises:
        ValueError: the data or the split differ.
    """
    one, other = first.data.raw, second.data.raw
    if one.sha256 != other.sha256 or not _equal(one.x[split], other.x[split]):
        raise ValueError(
            f"{first.path} and {second.path} do not have the same {split} rows, which a paired "
            "comparison needs"
        )


def _equal(one: NDArray[Any], other: NDArray[Any], *, chunk: int = 65536) -> bool:
    starts = range(0, max(len(one), len(other)), chunk)
    parts = (slice(start, start + chunk) for start in starts)
    return all(np.array_equal(one[part], other[part]) for part in parts)
