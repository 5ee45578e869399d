"""MNIST as flat vectors of 784 dequantised pixels."""

import gzip
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from flowbench.data.images.base import ImageDataModule
from flowbench.data.images.dequantisation import chunked, write_pictures
from flowbench.data.options import DataError

__all__ = ["Mnist", "read_idx"]

PIXELS = 784


class Mnist(ImageDataModule):
    r"""Handwritten digits: 50,000 / 10,000 / 10,000 images of 28 × 28 pixels.

    x = pixel + U[0, 1) in [0, 256), with noise drawn once from `RandomState(42)` for train, then
    validation (the last 10,000 training images), then test. Model space is
    logit(α + (1 − 2α) x / 256). The originals are the four IDX files, gzipped or not, in `mnist/`
    or `path`. A full-covariance Gaussian reaches −1366.9 ± 1.4 nats; see Papamakarios et al. 2017
    (arXiv:1705.07057), section 4.3 and table 2.

    Args:
        path: another folder of such files, with any number of images; None: `mnist/` in
            `data_dir`.
    """

    name = "mnist"
    files = (
        "train-images-idx3-ubyte",
        "train-labels-idx1-ubyte",
        "t10k-images-idx3-ubyte",
        "t10k-labels-idx1-ubyte",
    )
    source = "it comes from http://yann.lecun.com/exdb/mnist/ or any copy of it, gzipped or not"
    version = 3
    expected: ClassVar = {
        "train": (50_000, PIXELS),
        "val": (10_000, PIXELS),
        "test": (10_000, PIXELS),
    }
    validation: ClassVar[int] = 10_000

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
            read_idx(path, dimensions=3 if "images" in path.name else 1)
            for path in self.originals()
        )
        for images, labels in ((train, train_labels), (test, test_labels)):
            if images.shape[1:] != (28, 28) or len(images) != len(labels):
                raise DataError(
                    f"mnist: {self.originals()[0].parent} holds images of shape {images.shape} "
                    f"and {len(labels)} labels, expected 28 × 28 pixels and one label per image"
                )
        known, rng = len(train) - self.validation, np.random.RandomState(42)
        splits = {
            "train": (train[:known], train_labels[:known]),
            "val": (train[known:], train_labels[known:]),
            "test": (test, test_labels),
        }
        for split, (images, labels) in splits.items():
            chunks = chunked(images[:, None])
            write_pictures(folder, split, chunks, labels, shape=(28, 28, 1), rng=rng)
        return {"shape": [28, 28, 1], "labels": [str(digit) for digit in range(10)]}


def read_idx(path: Path, *, dimensions: int) -> NDArray[np.uint8]:
    """The bytes of an IDX file, gzipped if its name ends in `.gz`.

    Args:
        path: the file: two zero bytes, 8 (unsigned bytes), the number of dimensions, the sizes as
            big-endian 32-bit integers, the values.
        dimensions: required number of dimensions.

    Raises:
        DataError: the file is damaged or not such a file.
    """
    try:
        content = (gzip.open if path.suffix == ".gz" else open)(path, "rb").read()
    except (OSError, EOFError) as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    head = 4 + 4 * dimensions
    if content[:4] != bytes([0, 0, 8, dimensions]) or len(content) < head:
        raise DataError(
            f"{path} begins with {content[:4].hex()!r}, expected '000008{dimensions:02x}', the "
            f"mark of an IDX file of bytes in {dimensions} dimensions"
        )
    shape = np.frombuffer(content, ">i4", count=dimensions, offset=4).tolist()
    if len(content) - head != np.prod(shape):
        raise DataError(
            f"{path} holds {len(content) - head} values, but its head says {shape}: "
            "it is truncated"
        )
    return np.frombuffer(content, np.uint8, offset=head).reshape(shape)
