"""The user's own folder of pictures."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from flowbench.config.limits import AtLeastOne, Share
from flowbench.config.options import options_of
from flowbench.data.download.tree import list_tree
from flowbench.data.images.base import Alpha, Dequantize, ImageDataModule
from flowbench.data.images.dequantisation import write_pictures
from flowbench.data.images.files import SUFFIXES, picture_size, read_pictures, split_files
from flowbench.data.options import DataError, three_fractions

__all__ = ["ImageFolder"]


class ImageFolder(ImageDataModule, options=options_of(ImageDataModule, without=["data_dir"])):
    """Pictures in `<label>/<file>` or `<file>`, perhaps below `train/`, `val/` and `test/`.

    What the folders do not say is split at random, always in the same way. Pictures are as viewers
    show them: upright by the EXIF tag, on white where they are transparent.

    Args:
        path: the folder.
        fractions: of the pictures for train, val and test, which sum to 1; unused for the splits
            that are folders.
        size: height and width in pixels to which all pictures are resized; None: they have the
            same size.
        color: red, green and blue; otherwise grey.
        flips: add the mirror image of each training picture.
    """

    name = "images"
    source = "data.path names a folder of pictures"
    version = 2
    expected: ClassVar = {}

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
        self.fractions = three_fractions(fractions)
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
