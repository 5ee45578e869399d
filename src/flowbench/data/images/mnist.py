"""MNIST as flat vectors of 784 dequantised pixels."""

import gzip
import math
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from flowbench.data.images.base import ImageDataModule
from flowbench.data.images.dequantisation import chunked, write_pictures
from flowbench.data.options import DataError

__all__ = ["Mnist", "read_idx"]

PIXELS = 784
VALIDATION = 10_000
SMALL = 2**26  # values that any packed file may hold
MOST_PACKED = 100  # values per byte of a larger packed file


class Mnist(ImageDataModule):
    r"""Handwritten digits: 50,000 / 10,000 / 10,000 images of 28 × 28 pixels.

    x = pixel + U[0, 1) in [0, 256), with noise drawn once from `RandomState(42)` for train, then
    validation (the last 10,000 training images; of fewer than 60,000, the last sixth), then test.
    Model space is logit(α + (1 − 2α) x / 256). The originals are the four IDX files, gzipped or
    not, in `mnist/` or `path`. A full-covariance Gaussian reaches −1366.9 ± 1.4 nats; see
    Papamakarios et al. 2017 (arXiv:1705.07057), section 4.3 and table 2.

    Args:
        path: another folder of such files, with any number of images and any labels; None:
            `mnist/` in `data_dir`.
    """

    name = "mnist"
    files: ClassVar[tuple[str, ...]] = (
        "train-images-idx3-ubyte",
        "train-labels-idx1-ubyte",
        "t10k-images-idx3-ubyte",
        "t10k-labels-idx1-ubyte",
    )
    source = "it comes from http://yann.lecun.com/exdb/mnist/ or any copy of it, gzipped or not"
    version = 3
    expected: ClassVar[dict[str, tuple[int, ...]]] = {
        "train": (50_000, PIXELS),
        "val": (10_000, PIXELS),
        "test": (10_000, PIXELS),
    }

    def originals(self) -> list[Path]:
        """The four files, each in the form present."""
        plain = self.places()
        packed = [place.with_name(place.name + ".gz") for place in plain]
        return [p if p.exists() else z for p, z in zip(plain, packed, strict=True)]

    def places(self) -> list[Path]:
        """The paths of the four unzipped files."""
        return [self.root / file for file in self.files]

    def build(self, folder: Path) -> dict[str, Any]:
        """Check the files, split, dequantise."""
        train, train_labels, test, test_labels = (
            read_idx(path, sizes=(28, 28) if "images" in path.name else ())
            for path in self.originals()
        )
        for images, labels, least in ((train, train_labels, 2), (test, test_labels, 1)):
            if len(images) != len(labels) or len(images) < least:
                raise DataError(
                    f"mnist: {self.originals()[0].parent} holds {len(images):,} images and "
                    f"{len(labels):,} labels of one kind, expected one label per image, and at "
                    "least 2 images to train and validate on and 1 to test on"
                )
        validation = min(VALIDATION, max(1, len(train) // 6))
        known, rng = len(train) - validation, np.random.RandomState(42)
        splits = {
            "train": (train[:known], train_labels[:known]),
            "val": (train[known:], train_labels[known:]),
            "test": (test, test_labels),
        }
        present = np.union1d(train_labels, test_labels)
        names = np.arange(10) if present[-1] < 10 else present
        for split, (images, labels) in splits.items():
            codes = np.searchsorted(names, labels).astype(np.uint8)
            chunks = chunked(images[:, None])
            write_pictures(folder, split, chunks, codes, shape=(28, 28, 1), rng=rng)
        return {"shape": [28, 28, 1], "labels": [str(label) for label in names]}


def read_idx(path: Path, *, sizes: Sequence[int]) -> NDArray[np.uint8]:
    """The bytes of an IDX file `[n, *sizes]`, gzipped if its name ends in `.gz`.

    The header says how much is read; a file that cannot hold so much is refused before.

    Args:
        path: the file: two zero bytes, 8 (unsigned bytes), the number of dimensions, the sizes as
            big-endian 32-bit integers, the values.
        sizes: required sizes of all dimensions but the first.

    Raises:
        DataError: the file is damaged or not such a file.
    """
    packed = path.suffix == ".gz"
    try:
        with (gzip.open if packed else open)(path, "rb") as file:
            count = _count(path, file.read(8 + 4 * len(sizes)), sizes)
            values = count * math.prod(sizes)
            if values > (max(SMALL, MOST_PACKED * _size(path)) if packed else _size(path)):
                raise DataError(
                    f"{path} claims {count:,} entries in its header, more than a file of "
                    f"{_size(path):,} bytes holds: it is damaged or truncated"
                )
            content = file.read(values + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    if len(content) != values:
        held = f"more than {values}" if len(content) > values else f"{len(content)}"
        raise DataError(
            f"{path} holds {held} values, but its head says {[count, *sizes]}: it is "
            f"{'another file' if len(content) > values else 'truncated'}"
        )
    return np.frombuffer(content, np.uint8).reshape(count, *sizes)


def _count(path: Path, head: bytes, sizes: Sequence[int]) -> int:
    """The first size in the head of an IDX file; the others must be as required."""
    mark = bytes([0, 0, 8, 1 + len(sizes)])
    if head[:4] != mark or len(head) < 8 + 4 * len(sizes):
        raise DataError(
            f"{path} begins with {head[:4].hex()!r}, expected {mark.hex()!r}, the mark of an IDX "
            f"file of bytes in {1 + len(sizes)} dimensions"
        )
    count, *found = np.frombuffer(head, ">u4", offset=4).tolist()
    if found != list(sizes):
        raise DataError(
            f"{path} holds images of {' × '.join(map(str, found))} pixels, expected "
            f"{' × '.join(map(str, sizes))}"
        )
    return count


def _size(path: Path) -> int:
    return path.stat().st_size
