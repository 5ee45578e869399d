"""Samples of a run in a file: a table, an array, a picture, or sound."""

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from numpy.typing import NDArray
from torch import Tensor

from flowbench.atomic_files import replacing
from flowbench.data import DataError, ImageDataModule
from flowbench.data.sound.backend import write_sound
from flowbench.evaluation.runs import Run
from flowbench.evaluation.samples import contexts_of, draw, is_sound
from flowbench.evaluation.sound import to_sound
from flowbench.figures.pictures import save_pictures, save_spectrograms

__all__ = ["write_samples"]

Writer = Callable[[NDArray[np.float64], Path], None]


def write_samples(
    run: Run,
    *,
    n: int,
    out: Path,
    label: str | None = None,
    context: Mapping[str, Any] | None = None,
) -> tuple[int, bool]:
    """Draw samples and write them: `.csv`, `.parquet`, `.npy`; pictures and sound also as `.png`.

    In a `.csv` or `.parquet`, the columns that the density of a table is given stand beside them.
    Sound may be `.wav` too: one clip is the file, several are `<file>_1.wav`, `<file>_2.wav`, …

    Returns:
        How many were written (see `draw`), and whether the contexts were those of test rows.

    Raises:
        DataError: the file has another extension, or clips cannot be made audible.
        ValueError: see `contexts_of` and `draw`.
    """
    contexts = contexts_of(run, n=n, label=label, context=context)
    writers = _writers(run, contexts)
    if out.suffix not in writers:
        raise DataError(
            f"{out} has the extension {out.suffix!r}, expected {', '.join(writers)} for samples "
            f"of {'rows' if run.kind is None else run.kind.__name__}"
        )
    samples = draw(run, n=n, contexts=contexts, label=label)
    out.parent.mkdir(parents=True, exist_ok=True)
    several = out.suffix == ".wav"  # each a file
    with nullcontext(out) if several else replacing(out) as part:
        writers[out.suffix](samples, part)
    return len(samples), contexts is not None and label is None and context is None


def _writers(run: Run, contexts: Tensor | None) -> dict[str, Writer]:
    """What can be written of the samples of a run, by extension."""
    given = {} if contexts is None else _context_columns(run, contexts)
    table = partial(_write_table, run.density.feature_names, given)
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
    save_spectrograms(data.spectrograms(samples), out)


def _write_sound(run: Run, samples: NDArray[np.float64], out: Path) -> None:
    data: Any = run.data
    clips = to_sound(data.spectrograms(samples), data.feature_options)
    for number, clip in enumerate(clips, start=1):
        path = out if len(clips) == 1 else out.with_stem(f"{out.stem}_{number}")
        with replacing(path) as part:
            write_sound(part, clip, rate=data.feature_options.sample_rate)


def _write_table(
    names: list[str], given: dict[str, Any], samples: NDArray[np.float64], out: Path
) -> None:
    steps = samples.shape[1] // len(names)  # more than one where a row is a frame
    if steps > 1:
        names = [f"frame{step}_{name}" for step in range(steps) for name in names]
    table = pa.table(dict(zip(names, samples.T, strict=True)) | given)
    if out.suffix == ".csv":
        pyarrow.csv.write_csv(table, out)
    else:
        pyarrow.parquet.write_table(table, out)
