"""Samples as pictures: grids of images, and spectrograms."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from flowbench.drawing.style import blank

__all__ = ["grid", "save_pictures", "save_spectrograms"]

SIDE = 64


def grid(pictures: NDArray[np.uint8], *, columns: int | None = None) -> NDArray[np.uint8]:
    """Pictures side by side in a grid, with white lines between them.

    Args:
        pictures: `[n, height, width, channels]`, of 1 channel (grey) or 3.
        columns: number of pictures in a line; None: the grid is nearly square.

    Returns:
        One picture `[height, width, 3]`.

    Example:
        >>> grid(np.zeros((4, 2, 2, 1), np.uint8)).shape
        (7, 7, 3)
    """
    columns = columns or int(np.ceil(np.sqrt(len(pictures))))
    lines = -(-len(pictures) // columns)
    height, width = pictures.shape[1:3]
    sheet = np.full((lines * (height + 1) + 1, columns * (width + 1) + 1, 3), 255, np.uint8)
    for index, picture in enumerate(pictures):
        top, left = 1 + index // columns * (height + 1), 1 + index % columns * (width + 1)
        sheet[top : top + height, left : left + width] = picture
    return sheet


def save_pictures(pictures: NDArray[np.uint8], path: Path, *, columns: int | None = None) -> None:
    """Write a grid of pictures as PNG, small ones enlarged without smoothing.

    Args:
        pictures: `[n, height, width, channels]`, as `ImageDataModule.pictures` gives them.
        path: of the file; its folder is made.
        columns: number of pictures in a line; None: the grid is nearly square.
    """
    from matplotlib.image import imsave

    scale = max(1, SIDE // max(pictures.shape[1:3]))
    enlarged = grid(pictures, columns=columns).repeat(scale, axis=0).repeat(scale, axis=1)
    path.parent.mkdir(parents=True, exist_ok=True)
    imsave(path, enlarged)


def save_spectrograms(
    spectrograms: NDArray[np.floating], path: Path, *, cepstra: bool = False
) -> None:
    """Draw spectrograms in decibels, time to the right; single spectra as curves.

    Args:
        spectrograms: `[clips, frames, coefficients]`, from `SoundDataModule.spectrograms`.
        path: of the picture; its folder is made.
        cepstra: whether they hold cepstra, which are drawn as they are, instead of magnitudes.
    """
    columns = int(np.ceil(np.sqrt(len(spectrograms))))
    lines = -(-len(spectrograms) // columns)
    figure = blank(2.4 * columns, 1.8 * lines)
    figure.set_layout_engine("constrained")
    unit = "cepstrum" if cepstra else "dB"
    drawn = spectrograms if cepstra else 20 * np.log10(np.maximum(spectrograms, 1e-8))
    for index, clip in enumerate(drawn):
        axis = figure.add_subplot(lines, columns, index + 1)
        if len(clip) == 1:
            axis.plot(clip[0], linewidth=0.8)
        else:
            axis.imshow(clip.T, origin="lower", aspect="auto", rasterized=True)
    figure.supxlabel("coefficient" if spectrograms.shape[1] == 1 else "frame")
    figure.supylabel(unit if spectrograms.shape[1] == 1 else "coefficient")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
