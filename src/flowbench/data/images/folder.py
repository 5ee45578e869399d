"""The user's own folder of pictures."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from flowbench.data.base import DataError
from flowbench.data.download.tree import list_tree
from flowbench.data.images.base import Binarize, Dequantize, ImageDataModule
from flowbench.data.images.dequantisation import write_pictures
from flowbench.data.images.files import SUFFIXES, picture_size, read_pictures, split_files
from flowbench.data.images.layouts import Layout, PixelOrder

__all__ = ["ImageFolder"]


class ImageFolder(ImageDataModule):
    """Pictures in `<label>/<file>` or `<file>`, perhaps below `train/`, `val/` and `test/`.

    What the folders do not say is split at random, always in the same way. Pictures are as viewers
    show them: upright by the EXIF tag, on white where they are transparent.

    Args:
        path: the folder.
        fractions: of the pictures for train, val, test; they sum to 1.
        size: height and width to which all pictures are brought; None: they have the same size.
        color: red, green and blue, or grey only.
        flips: each training picture also as seen in a mirror.
        alpha, dequantize, binarize, layout, pixel_order, label_context: see `ImageDataModule`.
        cache_dir: folder of the converted arrays.
        batch_size: rows per optimiser step.
        seed: of the order of batches, of a random pixel order, of noise drawn for every epoch.
    """

    name = "images"
    source = "data.path names a folder of pictures"
    version = 2
    expected: ClassVar = {}

    def __init__(
        self,
        *,
        path: str | Path,
        fractions: Sequence[float] = (0.8, 0.1, 0.1),
        size: Sequence[int] | None = None,
        color: bool = True,
        flips: bool = False,
        alpha: float = 0.05,
        dequantize: Dequantize = "epoch",
        binarize: Binarize | None = None,
        layout: Layout = "interleaved",
        pixel_order: PixelOrder = "raster",
        label_context: bool = False,
        cache_dir: str | Path = "cache",
        batch_size: int = 256,
        seed: int = 0,
    ) -> None:
        self.root = Path(path).expanduser().absolute()
        super().__init__(
            path=path,
            alpha=alpha,
            dequantize=dequantize,
            binarize=binarize,
            layout=layout,
            pixel_order=pixel_order,
            label_context=label_context,
            cache_dir=cache_dir,
            batch_size=batch_size,
            seed=seed,
        )
        if len(fractions) != 3 or min(fractions) <= 0 or abs(sum(fractions) - 1) > 1e-6:
            raise DataError(
                f"data.fractions must be three positive numbers with sum 1, got {list(fractions)}"
            )
        if size is not None and (len(size) != 2 or min(size) < 1):
            raise DataError(f"data.size must be [height, width] in pixels, got {list(size)}")
        self.fractions = list(fractions)
        self.size = None if size is None else list(size)
        self.color = color
        self.flips = flips

    def originals(self) -> list[Path]:
        """All pictures of the folder."""
        files = list_tree(self.root, suffixes=SUFFIXES, name=self.name, cache_dir=self.cache_dir)
        return files or [self.root / "<label>" / "<picture>.png"]

    def options(self) -> dict[str, Any]:
        """What else changes the conversion."""
        return {
            "fractions": self.fractions,
            "size": self.size,
            "color": self.color,
            "flips": self.flips,
        }

    def build(self, folder: Path) -> dict[str, Any]:
        """Split, read, dequantise."""
        files = self.originals()
        splits, labels = split_files(self.root, files, fractions=self.fractions)
        height, width = self.size or picture_size(files[0])
        shape = (height, width, 3 if self.color else 1)
        rng = np.random.RandomState(42)
        for split, (members, numbers) in splits.items():
            chunks = read_pictures(members, shape=shape, resize=self.size is not None)
            flips = self.flips and split == "train"
            write_pictures(folder, split, chunks, numbers, shape=shape, rng=rng, flips=flips)
        return {"shape": list(shape), "labels": labels}
