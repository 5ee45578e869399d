"""Samples of a run in a file: a table, an array, a picture, or sound."""

import warnings
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import torch
from numpy.typing import NDArray
from torch import Tensor

from flowbench.atomic_files import replacing
from flowbench.data import DataError, ImageDataModule
from flowbench.data.sound.files import write_sound
from flowbench.evaluation.runs import Run
from flowbench.evaluation.samples import contexts_of, draw, is_sound
from flowbench.evaluation.sound import to_sound
from flowbench.figures.pictures import save_pictures, save_spectrograms

__all__ = ["Written", "write_samples"]


class Written(NamedTuple):
    """What was written: how many samples, and how.

    Attributes:
        count: of samples; those with values that are not finite are left out.
        borrowed: whether the contexts were those of test rows.
        overflowing: the columns of a table in which samples that were left out overflow.
    """

    count: int
    borrowed: bool
    overflowing: list[str]


Writer = Callable[[NDArray[np.float64], Path], None]


def write_samples(
    run: Run,
    *,
    n: int,
    out: Path,
    label: str | None = None,
    context: Mapping[str, Any] | None = None,
) -> Written:
    """Draw samples and write them: `.csv`, `.parquet`, `.npy`; pictures and sound also as `.png`.

    In a `.csv` or `.parquet`, the columns that the density of a table is given stand beside them.
    Columns of a table to which training added noise (`data.dequantize`) lie on their lattices
    again, whole numbers as such.
    Sound may be `.wav` too: one clip is the file, several are `<file>_1.wav`, `<file>_2.wav`, …

    Samples with values that are not finite are left out, with their contexts.

    Raises:
        DataError: the file has another extension, or clips cannot be made audible.
        ValueError: no sample is finite; see also `contexts_of` and `draw`.
    """
    contexts = contexts_of(run, n=n, label=label, context=context)
    writers = _writers(run, None)
    if out.suffix not in writers:
        raise DataError(
            f"{out} has the extension {out.suffix!r}, expected {', '.join(writers)} for samples "
            f"of {'rows' if run.kind is None else run.kind.__name__}"
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # told by the caller
        samples = draw(run, n=n, contexts=contexts, label=label)
    finite = np.isfinite(samples).all(axis=1)
    if not finite.any():
        raise ValueError(
            f"none of the {n} samples is finite: the density has run away from the data"
        )
    lost = np.flatnonzero(~np.isfinite(samples).all(axis=0)).tolist()
    samples = samples[finite]
    writers = _writers(run, None if contexts is None else contexts[torch.from_numpy(finite)])
    out.parent.mkdir(parents=True, exist_ok=True)
    several = out.suffix == ".wav"  # each a file
    with nullcontext(out) if several else replacing(out) as part:
        writers[out.suffix](samples, part)
    names = run.density.feature_names
    return Written(
        count=len(samples),
        borrowed=contexts is not None and label is None and context is None,
        overflowing=[names[column] for column in lost] if len(names) == samples.shape[1] else [],
    )


def _writers(run: Run, contexts: Tensor | None) -> dict[str, Writer]:
    """What can be written of the samples of a run, by extension."""
    given = {} if contexts is None else _context_columns(run, contexts)
    whole = {
        name
        for name, lattice in run.density.lattices.items()
        if all(float(number).is_integer() for number in lattice)
    }
    table = partial(_write_table, run.density.feature_names, given, whole)
    writers: dict[str, Writer] = {".csv": table, ".parquet": table, ".npy": _write_array}
    if run.kind is not None and issubclass(run.kind, ImageDataModule):
        writers[".png"] = partial(_write_pictures, run)
    elif is_sound(run):
        writers |= {".png": partial(_write_spectrograms, run), ".wav": partial(_write_sound, run)}
    return writers


def _context_columns(run: Run, contexts: Tensor) -> dict[str, Any]:
    """The columns of a table that its contexts were made of: numbers, then labels."""
    numbers, categories = run.density.context_columns, run.density.categories
    columns: dict[str, Any] = dict(zip(numbers, contexts.double().numpy().T, strict=False))
    start = len(numbers)
    for name, labels in categories.items():
        codes = contexts[:, start : start + len(labels)].argmax(-1)
        columns[name] = [labels[code] for code in codes.tolist()]
        start += len(labels)
    return columns


def _write_array(samples: NDArray[np.float64], out: Path) -> None:
    np.save(out, samples)


def _write_pictures(run: Run, samples: NDArray[np.float64], out: Path) -> None:
    data: Any = run.data
    save_pictures(data.pictures(samples), out)


def _write_spectrograms(run: Run, samples: NDArray[np.float64], out: Path) -> None:
    data: Any = run.data
    cepstra = data.feature_options.cepstra is not None
    save_spectrograms(data.spectrograms(samples), out, cepstra=cepstra)


def _write_sound(run: Run, samples: NDArray[np.float64], out: Path) -> None:
    data: Any = run.data
    clips = to_sound(data.spectrograms(samples), data.feature_options)
    for number, clip in enumerate(clips, start=1):
        path = out if len(clips) == 1 else out.with_stem(f"{out.stem}_{number}")
        with replacing(path) as part:
            write_sound(part, clip, rate=data.feature_options.sample_rate)


def _write_table(
    names: list[str],
    given: dict[str, Any],
    whole: set[str],
    samples: NDArray[np.float64],
    out: Path,
) -> None:
    steps = samples.shape[1] // len(names)  # more than one where a row is a frame
    if steps > 1:
        names = [f"frame{step}_{name}" for step in range(steps) for name in names]
    columns = {
        name: values.astype(np.int64) if name in whole and np.isfinite(values).all() else values
        for name, values in zip(names, samples.T, strict=True)
    }
    table = pa.table(columns | given)
    if out.suffix == ".csv":
        pyarrow.csv.write_csv(table, out)
    else:
        pyarrow.parquet.write_table(table, out)
