"""Converts integer images to real-valued rows: uniform noise, and flips."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from flowbench.data.chunks import chunks
from flowbench.disk import mapped_array

__all__ = ["chunked", "dequantise", "write_pictures"]


def dequantise(
    pixels: NDArray[np.uint8], rng: np.random.RandomState | np.random.Generator
) -> NDArray[np.float32]:
    """Pixels with noise, x = pixel + U[0, 1), rounded so that ⌊x⌋ remains the pixel.

    It remains so after the logit in float32 and back: the noise is at most 1 − 2⁻¹⁶.

    Example:
        >>> x = dequantise(np.array([0, 255], np.uint8), np.random.RandomState(42))
        >>> x, np.floor(x)
        (array([  0.37454012, 255.95071   ], dtype=float32), array([  0., 255.], dtype=float32))
    """
    x = (pixels + rng.random(pixels.shape)).astype(np.float32)
    return np.minimum(x, pixels + np.float32(1 - 2**-16))


def write_pictures(
    folder: Path,
    split: str,
    chunks: Iterable[NDArray[np.uint8]],
    labels: NDArray[np.unsignedinteger],
    *,
    shape: tuple[int, int, int],
    rng: np.random.RandomState,
    flips: bool = False,
) -> None:
    """Write `<split>.npy`, float32 `[rows, height · width · channels]`, and `<split>_labels.npy`.

    The noise is drawn channel by channel, the storage order of CIFAR-10.

    Args:
        folder: where the files are written.
        split: name of the files.
        chunks: images `[n, channels, height, width]`, as many as labels in all.
        labels: one per image.
        shape: height, width, channels.
        rng: generator of the noise.
        flips: append the mirror image of each image, including its noise, after all others.
    """
    rows, copies = len(labels), 2 if flips else 1
    out = folder / f"{split}.npy"
    size = (copies * rows, int(np.prod(shape)))
    x = mapped_array(out, dtype=np.float32, shape=size)
    start = 0
    for pixels in chunks:
        values = dequantise(pixels, rng).transpose(0, 2, 3, 1)
        stop = start + len(values)
        x[start:stop] = values.reshape(len(values), -1)
        if flips:
            x[rows + start : rows + stop] = values[:, :, ::-1].reshape(len(values), -1)
        start = stop
    x.flush()
    np.save(folder / f"{split}_labels.npy", np.tile(labels, copies))


def chunked(pictures: NDArray[np.uint8]) -> Iterable[NDArray[np.uint8]]:
    """Images `[n, channels, height, width]`, in chunks."""
    return (pictures[part] for part in chunks(*pictures.shape))
