"""The 8 × 8 digits that come with scikit-learn: images without a download."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from flowbench.config.options import options_of
from flowbench.data.download.originals import last_tenths
from flowbench.data.images.base import Dequantize, ImageDataModule
from flowbench.data.images.dequantisation import chunked, write_pictures
from flowbench.data.options import DataError

__all__ = ["Digits"]


class Digits(ImageDataModule, options=options_of(ImageDataModule, without=["path", "data_dir"])):
    """Handwritten digits: 1,457 / 161 / 179 images of 8 × 8 pixels in 17 levels, 0 … 16.

    Contiguous splits, the last tenth being test and the last tenth of the rest validation, with
    noise as for MNIST. From the UCI "Optical Recognition of Handwritten Digits" (its test part).
    """

    name = "digits"
    source = "it is part of every installation of scikit-learn"
    expected: ClassVar[dict[str, tuple[int, ...]]] = {
        "train": (1_457, 64),
        "val": (161, 64),
        "test": (179, 64),
    }
    levels = 17
    version = 2

    def __init__(self, *, dequantize: Dequantize = "epoch", **options: Any) -> None:
        super().__init__(dequantize=dequantize, **options)

    def originals(self) -> list[Path]:
        """The file shipped with scikit-learn."""
        package = find_spec("sklearn")
        assert package is not None
        assert package.origin is not None
        return [Path(package.origin).parent / "datasets" / "data" / "digits.csv.gz"]

    def build(self, folder: Path) -> dict[str, Any]:
        """Read rows of 64 pixels and a label, split, dequantise."""
        [path] = self.originals()
        try:
            table = np.loadtxt(path, delimiter=",").astype(np.uint8).reshape(-1, 65)
        except (OSError, ValueError) as error:
            raise DataError(f"{path}: expected rows of 64 pixels and a label: {error}") from error
        rng = np.random.RandomState(42)
        for split, rows in last_tenths(table).items():
            chunks = chunked(rows[:, :64].reshape(-1, 1, 8, 8))
            write_pictures(folder, split, chunks, rows[:, 64], shape=(8, 8, 1), rng=rng)
        return {"shape": [8, 8, 1], "labels": [str(digit) for digit in range(10)]}
