"""POWER, HEPMASS, MINIBOONE and BSDS300 under the protocol of Papamakarios et al. 2017."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import h5py
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from flowbench.data.download.originals import (
    OriginalDataModule,
    last_tenths,
    load_array,
    save_splits,
)
from flowbench.data.moments import refuse_non_finite, standardize
from flowbench.data.options import DataError

__all__ = ["ZENODO", "Bsds300", "Hepmass", "Miniboone", "Power"]

ZENODO = "it comes out of data.tar.gz of https://zenodo.org/records/1161203"


class Power(OriginalDataModule):
    """Household electricity, 6 features: active power (kW), voltage (V), 3 meters (Wh), minute.

    Rows are shuffled, reactive power and current dropped, and uniform noise as wide as the meters'
    resolution added (0.001 kW, 0.01 V, 1 Wh, none for the time), all from `RandomState(42)`;
    statistics are those of train + validation. The original is `power/data.npy`, 8 columns in the
    order of the UCI text, then the time of day. See arXiv:1705.07057, section 4.2 and appendix D.

    Args:
        path: another original, `.npy`, or `.npz` with an array `x`, with these 8 columns; None:
            `power/data.npy` in `data_dir`.
        seed: seeds the order of batches; the split and the noise are fixed.
    """

    name = "power"
    files: ClassVar[tuple[str, ...]] = ("data.npy",)
    source = ZENODO
    expected: ClassVar[dict[str, tuple[int, ...]]] = {
        "train": (1_659_917, 6),
        "val": (184_435, 6),
        "test": (204_928, 6),
    }
    columns: tuple[str, ...] = (
        "global_active_power",
        "voltage",
        "sub_metering_1",
        "sub_metering_2",
        "sub_metering_3",
        "time_of_day",
    )

    def build(self, folder: Path) -> dict[str, Any]:
        """Shuffle, drop columns, add noise, split."""
        [path] = self.originals()
        original = load_array(path, columns=8)
        kept = np.asarray(original[:, [0, 2, 4, 5, 6, 7]], np.float64)
        refuse_non_finite(kept, self.columns, where=str(path))
        rows = len(kept)
        rng = np.random.RandomState(42)
        order = np.arange(rows)
        rng.shuffle(order)
        x = kept[order]
        x[:, 1:2] += 0.01 * rng.rand(rows, 1)  # the order of the draws is part of the protocol
        x[:, 0:1] += 0.001 * rng.rand(rows, 1)
        x[:, 2:5] += rng.rand(rows, 3)
        return _save_tenths(folder, x, self.columns, path)


class Miniboone(OriginalDataModule):
    """Neutrino events, 43 features: contiguous splits, statistics of train + validation.

    The original is `miniboone/data.npy`. See arXiv:1705.07057, appendix D.

    Args:
        path: another original, an `.npy` of 43 columns; None: `miniboone/data.npy` in `data_dir`.
    """

    name = "miniboone"
    files: ClassVar[tuple[str, ...]] = ("data.npy",)
    source = ZENODO
    expected: ClassVar[dict[str, tuple[int, ...]]] = {
        "train": (29_556, 43),
        "val": (3_284, 43),
        "test": (3_648, 43),
    }

    def build(self, folder: Path) -> dict[str, Any]:
        """Split."""
        [path] = self.originals()
        x = load_array(path, columns=43)
        names = [f"x{column}" for column in range(43)]
        refuse_non_finite(x, names, where=str(path))
        return _save_tenths(folder, x, names, path)


class Hepmass(OriginalDataModule):
    """Particle collisions, the 21 continuous features of the signal class.

    Statistics (ddof 1) are those of the training file; a feature whose smallest value occurs more
    than 5 times is dropped; the last tenth of the training file is validation. The originals are
    `hepmass/1000_train.csv` and `1000_test.csv`. See arXiv:1705.07057, appendix D.

    Args:
        path: another folder with `1000_train.csv` and `1000_test.csv`; None: `hepmass/` in
            `data_dir`.
    """

    name = "hepmass"
    files: ClassVar[tuple[str, ...]] = ("1000_train.csv", "1000_test.csv")
    source = ZENODO
    expected: ClassVar[dict[str, tuple[int, ...]]] = {
        "train": (315_123, 21),
        "val": (35_013, 21),
        "test": (174_987, 21),
    }

    def originals(self) -> list[Path]:
        """Both files, in `path` if given."""
        return [self.root / file for file in self.files]

    def build(self, folder: Path) -> dict[str, Any]:
        """Keep the signal, drop discrete features, split."""
        paths = self.originals()
        train, test = (_signal(path) for path in paths)
        test = test.iloc[:, :-1]  # one more column than the training file
        if list(train.columns) != list(test.columns):
            raise DataError(
                f"hepmass: {paths[1]} must have the columns of {paths[0].name} and one more"
            )
        names = [str(name) for name in train.columns]
        x = train.to_numpy(np.float64)
        refuse_non_finite(x, names, where=f"signal rows of {paths[0]}")
        refuse_non_finite(test.to_numpy(), names, where=f"signal rows of {paths[1]}")
        [step] = standardize(x, names, where=str(paths[0]), ddof=1)
        mean, std = np.array(step["mean"]), np.array(step["std"])
        u = (x - mean) / std
        keep = np.flatnonzero((u == u.min(axis=0)).sum(axis=0) <= 5)
        split = len(x) - len(x) // 10
        parts = {"train": x[:split], "val": x[split:], "test": test.to_numpy(np.float64)}
        save_splits(folder, {name: part[:, keep] for name, part in parts.items()})
        return {
            "feature_names": [names[column] for column in keep],
            "preprocess": [
                {"name": "Standardize", "mean": mean[keep].tolist(), "std": std[keep].tolist()}
            ],
        }


class Bsds300(OriginalDataModule):
    """8 × 8 grey patches without their mean and last pixel: 63 features, used as they are.

    The original is `BSDS300.hdf5` in `bsds300/` or `BSDS300/`, with the datasets `train`,
    `validation` and `test`. See arXiv:1705.07057, appendix D.

    Args:
        path: another such file; None: `BSDS300.hdf5` in `bsds300/` or `BSDS300/` in `data_dir`.
    """

    name = "bsds300"
    files: ClassVar[tuple[str, ...]] = ("BSDS300.hdf5",)
    source = ZENODO
    expected: ClassVar[dict[str, tuple[int, ...]]] = {
        "train": (1_000_000, 63),
        "val": (50_000, 63),
        "test": (250_000, 63),
    }

    def originals(self) -> list[Path]:
        """The file in either folder."""
        [place] = super().originals()
        other = self.data_dir / "BSDS300" / place.name
        return [other if self.path is None and not place.exists() and other.exists() else place]

    def places(self) -> list[Path]:
        """The path in `bsds300/`, whichever folder holds the file."""
        return super().originals()

    def build(self, folder: Path) -> dict[str, Any]:
        """Copy the three datasets."""
        [path] = self.originals()
        names = [f"x{column}" for column in range(63)]
        try:
            with h5py.File(path, "r") as file:
                for split, key in (("train", "train"), ("val", "validation"), ("test", "test")):
                    x = np.asarray(file[key])
                    if x.ndim != 2 or x.shape[1] != 63 or x.dtype.kind != "f":
                        raise DataError(
                            f"bsds300: '{key}' of {path} holds {x.dtype} of shape {x.shape}, "
                            "expected [rows, 63] of floating-point numbers"
                        )
                    refuse_non_finite(x, names, where=f"'{key}' of {path}")
                    save_splits(folder, {split: x})
        except (OSError, KeyError) as error:
            raise DataError(
                f"bsds300: {path} is damaged or lacks one of train, validation, test: {error}"
            ) from error
        return {"feature_names": names, "preprocess": []}


def _save_tenths(
    folder: Path, x: NDArray[Any], names: Sequence[str], path: Path
) -> dict[str, Any]:
    splits = last_tenths(x)
    save_splits(folder, splits)
    known = x[: len(splits["train"]) + len(splits["val"])]
    return {
        "feature_names": list(names),
        "preprocess": standardize(known, names, where=str(path)),
    }


def _signal(path: Path) -> pd.DataFrame:
    try:
        table = pd.read_csv(path, index_col=False)
        table = table[table.iloc[:, 0] == 1].iloc[:, 1:].astype(np.float64)
    except (ValueError, IndexError) as error:
        raise DataError(f"hepmass: {path} is not a table of numbers: {error}") from error
    if len(table) < 20:
        raise DataError(f"hepmass: {path} has {len(table)} signal rows, expected at least 20")
    return table
