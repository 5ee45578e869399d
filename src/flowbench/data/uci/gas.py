"""GAS: 16 chemical sensors, reduced to those that are not nearly redundant."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from flowbench.data.download.originals import (
    OriginalDataModule,
    last_tenths,
    load_array,
    save_splits,
)
from flowbench.data.moments import (
    correlations,
    moments,
    refuse_constant,
    refuse_non_finite,
    standardize,
)
from flowbench.data.options import DataError
from flowbench.data.raw import RawData
from flowbench.data.text import stream_numbers
from flowbench.data.uci.gas_pickle import read_pickled_table
from flowbench.data.uci.sets import ZENODO

__all__ = ["Gas", "GasRaw", "uncorrelated"]

LIMIT = 0.98
NOT_SENSORS = ("Time", "Meth", "Eth")


def uncorrelated(correlation: NDArray[np.float64], *, limit: float = LIMIT) -> list[int]:
    """The columns left after dropping, from the first on, those too correlated with another.

    Args:
        correlation: Pearson correlations `[columns, columns]`.
        limit: the largest correlation kept.

    Example:
        >>> uncorrelated(np.array([[1, 0.99, 0], [0.99, 1, 0.5], [0, 0.5, 1]]))
        [1, 2]
    """
    kept = list(range(len(correlation)))
    while True:
        alike = (correlation[np.ix_(kept, kept)] > limit).sum(axis=1)
        crowded = np.flatnonzero(alike > 1)
        if not len(crowded):
            return kept
        del kept[crowded[0]]


def sensor_correlations(
    x: NDArray[Any], names: Sequence[str], *, where: str
) -> NDArray[np.float64]:
    """Pearson correlations of sensors `[rows, sensors]`, checked for invalid values.

    Raises:
        DataError: a value is not finite, or a sensor is constant.
    """
    refuse_non_finite(x, names, where=where)
    refuse_constant(moments(x), names, where=where)
    return correlations(x)


class Gas(OriginalDataModule):
    """The published GAS: 8 sensors, a sample of 1,052,065 rows, contiguous splits.

    Statistics (ddof 1) are those of *all* rows. The original is `gas/ethylene_CO.pickle`. See
    Papamakarios et al. 2017 (arXiv:1705.07057), appendix D.

    Args:
        path: another original, a pickled pandas table or an `.npy` of sensors only; None:
            `gas/ethylene_CO.pickle` in `data_dir`.
    """

    name = "gas"
    files: ClassVar[tuple[str, ...]] = ("ethylene_CO.pickle",)
    source = ZENODO
    expected: ClassVar[dict[str, tuple[int, ...]]] = {
        "train": (852_174, 8),
        "val": (94_685, 8),
        "test": (105_206, 8),
    }

    def build(self, folder: Path) -> dict[str, Any]:
        """Drop non-sensor columns, then redundant sensors, and split."""
        [path] = self.originals()
        x, names = _array(path) if path.suffix in (".npy", ".npz") else _pickled(path)
        kept = uncorrelated(sensor_correlations(x, names, where=str(path)))
        x, names = x[:, kept], [names[column] for column in kept]
        save_splits(folder, last_tenths(x))
        return {
            "feature_names": names,
            "preprocess": standardize(x, names, where=str(path), ddof=1),
        }


class GasRaw(OriginalDataModule):
    """GAS from the text at UCI: all 4,208,261 rows, shuffled by the seed; no published results.

    Otherwise like `Gas`, but with the statistics (ddof 1) of train + validation. The original is
    `gas_raw/ethylene_CO.txt`: a header line, then 19 columns (time, CO, ethylene, 16 sensors). A
    subclass may choose other columns, splits and statistics.

    Args:
        path: another original, `.txt` or `.npy` with these 19 columns, or `.npy` of sensors only;
            None: `gas_raw/ethylene_CO.txt` in `data_dir`.
        seed: seeds the shuffled split and the order of batches.
    """

    name = "gas_raw"
    files: ClassVar[tuple[str, ...]] = ("ethylene_CO.txt",)
    source = (
        "it comes from 'Gas sensor array under dynamic gas mixtures', "
        "https://archive.ics.uci.edu/dataset/322"
    )
    expected: ClassVar[dict[str, tuple[int, ...]]] = {
        "train": (3_408_692,),
        "val": (378_743,),
        "test": (420_826,),
    }

    def column_name(self, sensor: int) -> str:
        """The name of a sensor; sensors are counted from 0."""
        return f"sensor{sensor + 1}"

    def choose(self, correlation: NDArray[np.float64]) -> list[int]:
        """The sensors to keep, given the correlations of all of them."""
        return uncorrelated(correlation)

    def split(self, rows: NDArray[Any]) -> dict[str, NDArray[Any]]:
        """The three splits of the shuffled rows."""
        return last_tenths(rows)

    def reference(self, rows: NDArray[Any]) -> NDArray[Any]:
        """The shuffled rows whose statistics are used for standardisation."""
        return rows[: len(rows) - len(rows) // 10]

    def build(self, folder: Path) -> dict[str, Any]:
        """Keep the non-redundant sensors, in the order of the original."""
        [path] = self.originals()
        if path.suffix in (".npy", ".npz"):
            x = load_array(path)
            return self._reduce(folder, x[:, 3:] if x.shape[1] == 19 else x, path)
        scratch = folder / "sensors.bin"
        stream_numbers(path, scratch, columns=19, skip=3)
        found = self._reduce(folder, np.memmap(scratch, np.float64, "r").reshape(-1, 16), path)
        scratch.unlink()
        return found

    def _reduce(self, folder: Path, sensors: NDArray[Any], path: Path) -> dict[str, Any]:
        names = [self.column_name(sensor) for sensor in range(sensors.shape[1])]
        kept = self.choose(sensor_correlations(sensors, names, where=str(path)))
        save_splits(folder, {"rows": sensors[:, kept]})
        return {"feature_names": [names[sensor] for sensor in kept]}

    def read(self) -> RawData:
        """The three splits, shuffled.

        Raises:
            DataError: the original is missing, damaged or truncated.
        """
        found = self.conversion()
        rows, names = found.arrays["rows"], found.meta["feature_names"]
        order = np.random.default_rng(self.seed).permutation(len(rows))
        shuffled = rows[order]
        x = self.split(shuffled)
        self.check_shapes(x)
        known, where = self.reference(shuffled), str(self.originals()[0])
        return RawData(
            x=x,
            preprocess=standardize(known, names, where=where, ddof=1),
            feature_names=names,
            sha256=found.sha256,
        )


def _array(path: Path) -> tuple[NDArray[Any], list[str]]:
    x = load_array(path)
    return x, [f"sensor{column + 1}" for column in range(x.shape[1])]


def _pickled(path: Path) -> tuple[NDArray[Any], list[str]]:
    table = read_pickled_table(path)
    absent = [column for column in NOT_SENSORS if column not in table]
    if absent:
        raise DataError(f"gas: {path} has no column {absent[0]!r}; it has {', '.join(table)}")
    names = [name for name in table if name not in NOT_SENSORS]
    return np.stack([table[name] for name in names], axis=1), names
