"""Data sets distributed as original files, which are converted once."""

from abc import abstractmethod
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from flowbench.config.options import options_of
from flowbench.data.base import DataModule
from flowbench.data.conversion import Conversion, Originals
from flowbench.data.download.download import download
from flowbench.data.download.sources import SOURCES
from flowbench.data.options import DataError
from flowbench.data.raw import SPLITS, RawData

__all__ = ["OriginalDataModule", "last_tenths", "load_array"]


class OriginalDataModule(DataModule, options=options_of(DataModule)):
    """A data set of original files in `<data_dir>/<name>/`; a subclass converts them (`build`).

    `prepare_data` downloads missing files if their source is known.

    Args:
        path: another original, with any number of rows; None: the one in `data_dir`.
        data_dir: folder of the original data files; only read.
        cache_dir: folder of the converted arrays; safe to delete.
        seed: seeds the order of batches; the split is fixed.
    """

    name: ClassVar[str]
    folder: ClassVar[str | None] = None  # in data_dir; None: the name
    files: ClassVar[tuple[str, ...]]
    source: ClassVar[str]
    version: ClassVar[int] = 1
    expected: ClassVar[dict[str, tuple[int, ...]]]
    cache_dir: str | Path

    def __init__(
        self,
        *,
        path: str | Path | None = None,
        data_dir: str | Path = "data",
        cache_dir: str | Path = "cache",
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.path: Path | None = None if path is None else Path(path).expanduser()
        self.data_dir: Path = Path(data_dir).expanduser()
        self.cache_dir = cache_dir

    @property
    def root(self) -> Path:
        """The folder of the originals, or `path` if given."""
        folder = self.path or self.data_dir / (self.folder or self.name)
        return folder.absolute()

    @abstractmethod
    def build(self, folder: Path) -> dict[str, Any]:
        """Write `train.npy`, `val.npy`, `test.npy`; return `feature_names` and `preprocess`."""

    def originals(self) -> list[Path]:
        """The files to convert, whether they exist or not."""
        return [self.root / file for file in self.files] if self.path is None else [self.path]

    def places(self) -> list[Path]:
        """Canonical paths of the originals, the same whichever form they come in."""
        return self.originals()

    def options(self) -> dict[str, Any]:
        """Other options that affect the conversion."""
        return {}

    def prepare_data(self) -> None:
        """Download missing originals and convert them, unless already done."""
        folder = self.folder or self.name
        known = self.path is None and folder in SOURCES
        self.conversion(fetch=partial(download, folder, data_dir=self.data_dir) if known else None)

    def conversion(self, *, fetch: Callable[[], None] | None = None) -> Conversion:
        """The converted originals; `fetch` is called if they are missing."""
        return self._originals().convert(self.build, source=self.source, fetch=fetch)

    def fingerprint(self) -> str | None:
        """The recorded SHA-256 of the originals, recomputed if they changed."""
        return self._originals().fingerprint()

    def _originals(self) -> Originals:
        return Originals(
            name=self.name,
            files=self.originals(),
            places=self.places(),
            cache_dir=self.cache_dir,
            version=self.version,
            options=self.options(),
        )

    def read(self) -> RawData:
        """The three splits, memory-mapped.

        Raises:
            DataError: an original is missing, damaged or truncated.
        """
        found = self.conversion()
        x = {split: found.arrays[split] for split in SPLITS}
        self.check_shapes(x)
        return RawData(
            x=x,
            preprocess=found.meta["preprocess"],
            feature_names=found.meta["feature_names"],
            sha256=found.sha256,
        )

    def check_shapes(self, x: dict[str, NDArray[Any]]) -> None:
        """Refuse originals (other than from `path`) whose splits do not have the known shapes.

        Raises:
            DataError: naming the shape found and the one expected.
        """
        for split, shape in self.expected.items():
            if self.path is None and x[split].shape[: len(shape)] != shape:
                raise DataError(
                    f"{self.name}: {self.originals()[0]} gives a {split} split of shape "
                    f"{x[split].shape}, expected {shape}: the file is truncated or another one"
                )


def last_tenths(x: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """Contiguous splits: the last tenth is test, the last tenth of the rest validation.

    Example:
        >>> {split: len(rows) for split, rows in last_tenths(np.zeros((100, 1))).items()}
        {'train': 81, 'val': 9, 'test': 10}
    """
    rest = len(x) - len(x) // 10
    train = rest - rest // 10
    return {"train": x[:train], "val": x[train:rest], "test": x[rest:]}


def load_array(path: Path, *, columns: int | None = None) -> NDArray[Any]:
    """A numeric array `[rows, columns]` from `.npy` (memory-mapped) or `.npz` (its array `x`).

    Raises:
        DataError: the file is damaged, or holds something else.
    """
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
        if isinstance(array, np.lib.npyio.NpzFile):
            array = array["x"]
    except (OSError, ValueError, EOFError, KeyError) as error:
        raise DataError(
            f"{path} is not a readable .npy, nor an .npz with an array 'x': {error}"
        ) from error
    wrong_width = columns is not None and array.shape[-1:] != (columns,)
    if array.ndim != 2 or wrong_width or array.dtype.kind not in "fiu" or len(array) < 20:
        wanted = f"[rows, {columns or 'columns'}] of numbers with at least 20 rows"
        raise DataError(f"{path} holds {array.dtype} of shape {array.shape}, expected {wanted}")
    return array


def save_splits(folder: Path, splits: dict[str, NDArray[Any]]) -> None:
    """Write one `.npy` per split; float32 stays float32, everything else becomes float64."""
    for split, x in splits.items():
        dtype = np.float32 if x.dtype == np.float32 else np.float64
        np.save(folder / f"{split}.npy", np.ascontiguousarray(x, dtype))
