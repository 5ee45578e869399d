"""The user's own folder of images."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from flowbench.config.limits import AtLeastOne, Share
from flowbench.config.options import options_of
from flowbench.data.download.tree import list_tree, others_told
from flowbench.data.images.base import Alpha, Dequantize, ImageDataModule
from flowbench.data.images.dequantisation import write_pictures
from flowbench.data.images.files import SUFFIXES, picture_size, read_pictures, split_files
from flowbench.data.options import DataError, three_fractions

__all__ = ["ImageFolder"]


class ImageFolder(ImageDataModule, options=options_of(ImageDataModule, without=["data_dir"])):
    """Images in `<label>/<file>` or `<file>`, optionally below `train/`, `val/` and `test/`.

    Splits without a folder are drawn at random, always in the same way. Images are as viewers show
    them: rotated by the EXIF tag, on white where transparent.

    Args:
        path: the folder.
        fractions: fractions of the images for train, val and test, which sum to 1; unused for
            splits that are folders.
        size: height and width in pixels to which all images are resized; None: they already have
            the same size.
        color: read as RGB; otherwise as grey.
        flips: add the mirror image of each training image.
    """

    name = "images"
    source = "data.path names a folder of pictures"
    version = 3
    expected: ClassVar[dict[str, tuple[int, ...]]] = {}
    class_prior: ClassVar[str] = "empirical"

    def __init__(
        self,
        *,
        path: str | Path,
        fractions: Sequence[Share] = (0.8, 0.1, 0.1),
        size: Sequence[AtLeastOne] | None = None,
        color: bool = True,
        flips: bool = False,
        alpha: Alpha = 0.05,
        dequantize: Dequantize = "epoch",
        **options: Any,
    ) -> None:
        super().__init__(path=path, alpha=alpha, dequantize=dequantize, **options)
        if size is not None and len(size) != 2:
            raise DataError(f"data.size={list(size)}: expected [height, width] in pixels")
        self.fractions: list[float] = three_fractions(fractions)
        self.size: list[int] | None = None if size is None else list(size)
        self.color = color
        self.flips = flips

    def originals(self) -> list[Path]:
        """All images in the folder."""
        files = list_tree(self.root, suffixes=SUFFIXES, name=self.name, cache_dir=self.cache_dir)
        return files or [self.root / "<label>" / "<picture>.png"]

    def options(self) -> dict[str, Any]:
        """Other options that affect the conversion."""
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
        told = others_told(self.root, suffixes=SUFFIXES, what="pictures")
        return {"shape": list(shape), "labels": labels, "left_out": told}
