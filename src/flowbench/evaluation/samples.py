"""Samples of a run, in the units of its data: a table, a picture, or sound."""

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import torch
from numpy.typing import NDArray
from torch import Tensor

from flowbench.atomic_files import replacing
from flowbench.data import DataError, ImageDataModule, SoundDataModule
from flowbench.data.sound.backend import write_sound
from flowbench.evaluation.clips import sample_clips
from flowbench.evaluation.conditional import labels_of
from flowbench.evaluation.pictures import save_pictures, save_spectrograms
from flowbench.evaluation.runs import Run
from flowbench.evaluation.sound import to_sound

__all__ = ["draw", "write_samples"]

Writer = Callable[[NDArray[np.float64], Path], None]


def draw(
    run: Run, *, n: int, label: str | None = None, context: Mapping[str, Any] | None = None
) -> NDArray[np.float64]:
    """Draw n samples in data units, `[n, features]`; clips side by side, frame after frame.

    Clips that run away from the data to values that are not finite are left out.

    Without a label or a context, a density that is given contexts is given those of test rows, in
    turn.

    Args:
        run: as `open_run` gives it.
        n: how many.
        label: of the samples, where the density is given labels.
        context: values of the columns that the density of a table is given, by name.

    Raises:
        ValueError: the label or a column is unknown, or a column is missing.
    """
    return _drawn(run, n, label, _contexts(run, n, label, context))


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
        ValueError: see `draw`.
    """
    contexts = _contexts(run, n, label, context)
    writers = _writers(run, contexts)
    if out.suffix not in writers:
        raise DataError(
            f"{out} has the extension {out.suffix!r}, expected {', '.join(writers)} for samples "
            f"of {type(run.data).__name__}"
        )
    samples = _drawn(run, n, label, contexts)
    out.parent.mkdir(parents=True, exist_ok=True)
    several = out.suffix == ".wav"  # each a file
    with nullcontext(out) if several else replacing(out) as part:
        writers[out.suffix](samples, part)
    return len(samples), contexts is not None and label is None and context is None


def _contexts(
    run: Run, n: int, label: str | None, context: Mapping[str, Any] | None
) -> Tensor | None:
    """The contexts of n samples in data units, `[n, context_features]`; clips make their own."""
    labels, density = labels_of(run.data), run.density
    if label is not None and label not in labels:
        columns = [*density.context_columns, *density.categories]
        if labels or not columns:
            raise ValueError(f"label={label!r} is not one of the labels {labels}")
        raise ValueError(
            f"label={label!r}: this density is given the columns {', '.join(columns)} of a table, "
            "expected a value for each of them (--context)"
        )
    if context is not None:
        return density.context(context).expand(n, -1)
    if isinstance(run.data, SoundDataModule) or not run.data.context_features:
        return None
    if label is not None:
        return torch.eye(len(labels))[[labels.index(label)] * n]
    known = run.data.raw.context["test"]
    return torch.from_numpy(np.asarray(known[np.arange(n) % len(known)]))


def _drawn(run: Run, n: int, label: str | None, contexts: Tensor | None) -> NDArray[np.float64]:
    data = run.data
    if isinstance(data, SoundDataModule):
        if (labels := labels_of(data)) and label is None:
            raise ValueError(f"a label is needed; it is one of {labels}")
        clips = sample_clips(run.density, data, n=n, label=label)
        return clips.reshape(len(clips), -1)
    if contexts is None:
        return run.density.sample(n).double().numpy()
    return run.density.sample(1, contexts)[0].double().numpy()


def _writers(run: Run, contexts: Tensor | None) -> dict[str, Writer]:
    """What can be written of the samples of a run, by extension."""
    data = run.data
    given = {} if contexts is None else _context_columns(run, contexts)
    table = partial(_write_table, data.raw.feature_names, given)
    writers: dict[str, Writer] = {".csv": table, ".parquet": table, ".npy": _write_array}
    if isinstance(data, ImageDataModule):
        writers[".png"] = lambda samples, out: save_pictures(data.pictures(samples), out)
    elif isinstance(data, SoundDataModule):
        writers[".png"] = lambda samples, out: save_spectrograms(data.spectrograms(samples), out)
        writers[".wav"] = lambda samples, out: _write_sound(samples, out, data)
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


def _write_sound(samples: NDArray[np.float64], out: Path, data: SoundDataModule) -> None:
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
