"""GAS as the article on flows for audio and multivariate data prepares it in R."""

from itertools import combinations
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from flowbench.data.uci.gas import GasRaw

__all__ = ["GasArticle", "find_correlation"]

CUTOFF = 0.985


def find_correlation(correlation: NDArray[np.float64], *, cutoff: float = CUTOFF) -> list[int]:
    """The columns kept by `findCorrelation` of R's caret 6, with `exact=TRUE`.

    Columns are ordered by their mean absolute correlation with the others, the largest first, and
    their pairs are visited in this order. Of a pair above the cutoff, the first is dropped if its
    mean exceeds the mean over all columns but the second, otherwise the second is; both means are
    over the remaining columns.

    Args:
        correlation: Pearson correlations `[columns, columns]`.
        cutoff: the largest absolute correlation kept.

    Example:
        >>> find_correlation(np.array([[1, 0.99, 0.3], [0.99, 1, 0.5], [0.3, 0.5, 1]]))
        [0, 2]
    """
    size = np.abs(correlation)
    np.fill_diagonal(size, np.nan)
    kept = set(range(len(size)))
    order = np.argsort(-np.nanmean(size, axis=0), kind="stable").tolist()
    left = size.copy()
    for first, second in combinations(order, 2):
        if {first, second} <= kept and size[first, second] > cutoff:
            others = np.nanmean(np.delete(left, second, axis=0))
            goes = first if np.nanmean(left[first]) > others else second
            kept.remove(goes)
            left[goes, :] = left[:, goes] = np.nan
    return sorted(kept)


class GasArticle(GasRaw):
    """All 4,208,261 rows of the text at UCI: one half for training, the other half for testing.

    The columns are those that `findCorrelation` keeps of columns 4 to 19 at 0.985: X4, X5, X8,
    X9, X13, X16, X17 and X18. Statistics (ddof 1) are those of *all* rows. The article has no
    validation rows; here the last tenth of the training half selects the epoch. The original is
    that of `GasRaw`; the seed shuffles.
    """

    name = "gas_article"
    folder: ClassVar[str | None] = "gas_raw"
    expected: ClassVar[dict[str, tuple[int, ...]]] = {
        "train": (1_893_717, 8),
        "val": (210_413, 8),
        "test": (2_104_131, 8),
    }

    def column_name(self, sensor: int) -> str:
        """The name in R: the first sensor is column 4."""
        return f"X{sensor + 4}"

    def choose(self, correlation: NDArray[np.float64]) -> list[int]:
        """The columns that `findCorrelation` keeps."""
        return find_correlation(correlation)

    def split(self, rows: NDArray[Any]) -> dict[str, NDArray[Any]]:
        """The first half, less its last tenth; that tenth; the second half."""
        half = len(rows) // 2
        train = half - half // 10
        return {"train": rows[:train], "val": rows[train:half], "test": rows[half:]}

    def reference(self, rows: NDArray[Any]) -> NDArray[Any]:
        """All rows."""
        return rows
