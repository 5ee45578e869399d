"""Samples beside the training rows nearest to them, which they should not repeat."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from flowbench.data import ImageDataModule
from flowbench.data.chunks import chunks
from flowbench.figures.pictures import save_pictures
from flowbench.figures.samples import samples_and_rows
from flowbench.flows import Flow

__all__ = ["draw_neighbours", "nearest"]

PICTURES = 8


def draw_neighbours(flow: Flow, data: ImageDataModule, path: Path) -> None:
    """Draw a line for each of eight samples: the sample, and the training rows nearest to it."""
    samples = data.pictures(samples_and_rows(flow, data, PICTURES)[0])
    train = data.raw.x["train"]
    flat = samples.reshape(len(samples), -1)
    near = nearest(flat, train, data, count=min(PICTURES - 1, len(train)))
    lines = [
        np.concatenate([sample[None], data.pictures(train[index])])
        for sample, index in zip(samples, near, strict=True)
    ]
    save_pictures(np.concatenate(lines), path, columns=len(lines[0]))


def nearest(
    samples: NDArray[np.uint8], train: NDArray[np.generic], data: ImageDataModule, *, count: int
) -> NDArray[np.intp]:
    """The training rows nearest to samples, by the sum of squared differences of grey levels.

    Args:
        samples: `[samples, features]`.
        train: in data units, `[rows, features]`, maybe memory-mapped.
        data: gives the pictures of rows.
        count: of neighbours of each sample.

    Returns:
        Their places, the nearest first, `[samples, count]`.
    """
    points = samples.astype(np.float32)
    own = (points**2).sum(axis=1)
    parts = []
    for part in chunks(*train.shape):
        rows = data.pictures(train[part]).reshape(-1, points.shape[1]).astype(np.float32)
        parts.append(own[:, None] - 2 * points @ rows.T + (rows**2).sum(axis=1))
    return np.argsort(np.concatenate(parts, axis=1), axis=1, kind="stable")[:, :count]
