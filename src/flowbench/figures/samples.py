"""Samples beside the data: marginals and pairs of a table, grids of pictures, spectrograms."""

import sys
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from flowbench.data import DataModule, ImageDataModule, SoundDataModule
from flowbench.density import TrainedDensity
from flowbench.drawing.pairs import distributions
from flowbench.drawing.style import save
from flowbench.evaluation.clips import sample_clips
from flowbench.figures.pictures import save_pictures, save_spectrograms
from flowbench.flows import Flow

__all__ = ["draw_clips", "draw_pairs", "draw_pictures", "samples_and_rows"]

SHOWN_ROWS = 2000
PICTURES = 64
CLIPS = 9


def draw_pictures(flow: Flow, data: ImageDataModule, path: Path) -> None:
    """Draw a grid of samples, and as `test_rows.png` beside it a grid of test rows."""
    samples, rows = samples_and_rows(flow, data, PICTURES)
    save_pictures(data.pictures(samples), path)
    save_pictures(data.pictures(rows), path.with_name("test_rows.png"))


def draw_clips(flow: Flow, data: SoundDataModule, path: Path) -> None:
    """Draw sampled spectrograms (or spectra), and beside them those of test clips."""
    clips = data.spectrograms(data.raw.x["test"])
    known = clips[np.linspace(0, len(clips) - 1, CLIPS).astype(int)]
    cepstra = data.feature_options.cepstra is not None
    save_spectrograms(known, path.with_name("test_rows.png"), cepstra=cepstra)
    density = TrainedDensity(
        flow,
        preprocess=data.preprocess,
        context_preprocess=data.context_preprocess,
        config={},
        context_shape=data.context_shape,
    )
    labels = data.labels[:CLIPS] if data.label_context else [None]
    each = CLIPS // len(labels)
    drawn = [sample_clips(density, data, n=each, label=label) for label in labels]
    save_spectrograms(samples := np.concatenate(drawn), path, cepstra=cepstra)
    if lost := each * len(labels) - len(samples):
        print(f"figures/{path.name}: {lost} clips ran away from the data", file=sys.stderr)


def draw_pairs(flow: Flow, data: DataModule, path: Path) -> None:
    """Draw every feature's distribution, test rows below the diagonal and samples above it.

    Of more than eight features the first eight are drawn, in data units; only rows without
    missing cells.
    """
    samples, rows = samples_and_rows(flow, data, SHOWN_ROWS)
    save(distributions(rows, samples, data.raw.feature_names, "test rows"), path)


def samples_and_rows(
    flow: Flow, data: DataModule, n: int
) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Samples, and as many test rows (evenly chosen), whose contexts they share; data units.

    A row of a large weight may come several times.
    """
    rows = data.rows["test"]
    index = torch.linspace(0, len(rows) - 1, min(n, len(rows))).long()
    if rows.weight is not None:
        ends = rows.weight.cumsum(0)
        places = (torch.arange(len(index), dtype=ends.dtype) + 0.5) / len(index)
        index = torch.searchsorted(ends, places * ends[-1])
    if rows.context is None:
        drawn = flow.sample((len(index),))
    else:
        drawn = flow.sample((), rows.context[index])
    samples = data.preprocess(drawn.cpu().double())[0].numpy()
    return samples, np.asarray(data.raw.x["test"][index.numpy()], np.float64)
