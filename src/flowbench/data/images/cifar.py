"""CIFAR-10 as flat vectors of 3,072 dequantised values."""

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from flowbench.config.options import options_of
from flowbench.data.download.tree import list_tree
from flowbench.data.images.base import Alpha, ImageDataModule
from flowbench.data.images.dequantisation import chunked, write_pictures
from flowbench.data.images.files import SUFFIXES, read_pictures, split_files
from flowbench.data.options import DataError

__all__ = ["Cifar10"]

LABELS = "airplane automobile bird cat deer dog frog horse ship truck".split()
SHAPE = (32, 32, 3)
RECORD = 3073


class Cifar10(ImageDataModule, options=options_of(ImageDataModule)):
    """Colour photographs of ten classes: 90,000 / 5,000 / 10,000 images of 32 × 32 pixels.

    The last tenth of the training images is validation; the others are followed by their mirror
    images. Noise is drawn before mirroring, from `RandomState(42)` for train, validation, test,
    channel by channel. Model space is the logit with α = 0.05. See
    Papamakarios et al. 2017 (arXiv:1705.07057), section 4.3.

    The originals in `cifar10/` or `path` are those of the binary version, `data_batch_1.bin` …
    `test_batch.bin` (there or in `cifar-10-batches-bin/`), or images `train/<class>/<file>` and
    `test/<class>/<file>`, of which a tenth, drawn at random, is validation.

    Args:
        path: another folder of such originals, with any number of images; None: `cifar10/` in
            `data_dir`.
        flips: add the mirror image of each training image: 45,000 become 90,000.
    """

    name = "cifar10"
    files: ClassVar[tuple[str, ...]] = (
        *(f"data_batch_{batch}.bin" for batch in range(1, 6)),
        "test_batch.bin",
    )
    source = (
        "it comes out of https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz "
        "or is a folder train/<class>/ beside test/<class>/"
    )
    version = 3
    expected: ClassVar[dict[str, tuple[int, ...]]] = {
        "val": (5_000, 3_072),
        "test": (10_000, 3_072),
    }

    def __init__(self, *, flips: bool = True, alpha: Alpha = 0.05, **options: Any) -> None:
        super().__init__(alpha=alpha, **options)
        self.flips = flips

    def originals(self) -> list[Path]:
        """The binary batches, or all images if there are none."""
        found = list_tree(
            self.root, suffixes=(".bin", *SUFFIXES), name=self.name, cache_dir=self.cache_dir
        )
        batches = {path.name: path for path in found if path.suffix == ".bin"}
        if found and not batches:
            return found
        return [batches.get(file, self.root / file) for file in self.files]

    def options(self) -> dict[str, Any]:
        """Other options that affect the conversion."""
        return {"flips": self.flips}

    def build(self, folder: Path) -> dict[str, Any]:
        """Split, dequantise, flip."""
        paths, rng = self.originals(), np.random.RandomState(42)
        if paths[0].suffix == ".bin":
            splits, names = _batches(paths), LABELS
        else:
            found, names = split_files(self.root, paths, fractions=(0.9, 0.1, 0.1))
            splits = {
                split: (read_pictures(files, shape=SHAPE, resize=False), labels)
                for split, (files, labels) in found.items()
            }
        for split, (chunks, labels) in splits.items():
            flips = self.flips and split == "train"
            write_pictures(folder, split, chunks, labels, shape=SHAPE, rng=rng, flips=flips)
        return {"shape": list(SHAPE), "labels": names}


def _batches(paths: list[Path]) -> dict[str, tuple[Any, NDArray[np.uint8]]]:
    *train, test = (_records(path) for path in paths)
    known = np.concatenate(train)
    if len(known) < 10:
        raise DataError(
            f"{paths[0].parent} holds {len(known)} training images, expected at least "
            "10, of which the last tenth is validation"
        )
    first = len(known) - len(known) // 10
    parts = {"train": known[:first], "val": known[first:], "test": test}
    return {
        split: (chunked(part[:, 1:].reshape(-1, 3, 32, 32)), part[:, 0])
        for split, part in parts.items()
    }


def _records(path: Path) -> NDArray[np.uint8]:
    """Records of a label and 1,024 bytes each of red, green and blue."""
    content = np.fromfile(path, np.uint8)
    if len(content) == 0 or len(content) % RECORD or content[::RECORD].max() >= len(LABELS):
        raise DataError(
            f"{path} holds {len(content)} bytes, expected records of {RECORD}: a label from 0 to "
            "9 and 3 × 1,024 pixels; it is truncated or another file"
        )
    return content.reshape(-1, RECORD)
