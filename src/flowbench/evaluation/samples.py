"""Samples of a run, in the units of its data, as a table or a picture."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import torch
from numpy.typing import NDArray

from flowbench.data import DataError, ImageDataModule, SoundDataModule
from flowbench.evaluation.clips import sample_clips
from flowbench.evaluation.conditional import labels_of
from flowbench.evaluation.pictures import save_pictures, save_spectrograms
from flowbench.evaluation.runs import Run

__all__ = ["draw", "write_samples"]


def draw(run: Run, *, n: int, label: str | None = None) -> NDArray[np.float64]:
    """Draw n samples in data units, `[n, features]`; clips side by side, frame after frame.

    Without a label, a density that is given contexts is given those of test rows, in turn.

    Args:
        run: as `open_run` gives it.
        n: how many.
        label: of the samples, where the density is given labels.

    Raises:
        ValueError: the label is unknown, or the density knows no labels.
    """
    data, labels = run.data, labels_of(run.data)
    if label is not None and label not in labels:
        raise ValueError(f"label={label!r} is not one of the labels {labels}")
    if isinstance(data, SoundDataModule):
        if labels and label is None:
            raise ValueError(f"a label is needed; it is one of {labels}")
        return sample_clips(run.density, data, n=n, label=label).reshape(n, -1)
    if not data.context_features:
        return run.density.sample(n).double().numpy()
    if label is not None:
        contexts = torch.eye(len(labels))[[labels.index(label)] * n]
    else:
        known = data.raw.context["test"]
        contexts = torch.from_numpy(np.asarray(known[np.arange(n) % len(known)]))
    return run.density.sample(1, contexts)[0].double().numpy()


def write_samples(run: Run, *, n: int, out: Path, label: str | None = None) -> None:
    """Draw samples and write them: `.csv`, `.parquet`, `.npy`; pictures and sound as `.png` too.

    Raises:
        DataError: the file has another extension, or the data are no pictures.
        ValueError: see `draw`.
    """
    known = {".csv", ".parquet", ".npy"}
    pictured = isinstance(run.data, ImageDataModule | SoundDataModule)
    if out.suffix not in known | ({".png"} if pictured else set()):
        raise DataError(
            f"{out} has the extension {out.suffix!r}, expected .csv, .parquet or .npy, or for "
            "pictures and sound .png"
        )
    samples = draw(run, n=n, label=label)
    out.parent.mkdir(parents=True, exist_ok=True)
    if out.suffix == ".npy":
        np.save(out, samples)
    elif out.suffix == ".png" and isinstance(run.data, ImageDataModule):
        save_pictures(run.data.pictures(samples), out)
    elif out.suffix == ".png" and isinstance(run.data, SoundDataModule):
        save_spectrograms(run.data.spectrograms(samples), out)
    else:
        _write_table(samples, _names(run, samples.shape[1]), out)


def _names(run: Run, columns: int) -> list[str]:
    names = run.data.raw.feature_names
    steps = columns // len(names)  # more than one where a row is a frame
    return names if steps == 1 else [f"frame{s}_{name}" for s in range(steps) for name in names]


def _write_table(samples: NDArray[np.float64], names: list[str], out: Path) -> None:
    table = pa.table(dict(zip(names, samples.T, strict=True)))
    if out.suffix == ".csv":
        pyarrow.csv.write_csv(table, out)
    else:
        pyarrow.parquet.write_table(table, out)
