"""Converts a user's table to arrays of numbers in chunks, reporting anything unusual."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flowbench.data.base import SPLITS, DataError
from flowbench.data.table.columns import Columns
from flowbench.data.table.lattice import dequantize, discreteness
from flowbench.data.table.parts import SPLIT_NAMES, Part, Piece
from flowbench.data.text import is_number, refuse_cells
from flowbench.disk import write_header

__all__ = ["TableWriter"]

MOST_CATEGORIES = 1000
LOOKED_AT = 1_000_000
Pair = tuple[float, float]


class TableWriter:
    """Writes one array `[rows, columns]` per part of a table.

    Labels become numbers: categories and groups in sorted order (numerically, if they are
    numbers), splits as 0, 1, 2.

    Args:
        folder: where the arrays are written.
        columns: columns to write.
        path: path of the table, for messages.
        drop: leave out rows with missing values instead of refusing them.
        exact: write float64 even if the table has lower precision, which would round noise away.
    """

    def __init__(
        self, folder: Path, *, columns: Columns, path: Path, drop: bool, exact: bool
    ) -> None:
        self.folder = folder
        self.columns = columns
        self.path = path
        self.drop = drop
        self.exact = exact
        self.dtype = np.dtype(np.float64)  # of the table
        self.dropped = 0
        self.labels: dict[str, dict[str, int]] = {name: {} for name in columns.texts}
        self.arrays: dict[str, NDArray[Any]] = {}

    def write(self, part: str, source: Part) -> None:
        """Write one part.

        Raises:
            DataError: a value is missing, not finite or invalid; no row is left.
        """
        where = str(self.path) if part == "all" else f"'{part}' of {self.path}"
        out = self.folder / f"{part}.npy"
        rows, columns = 0, len(self.columns.numbers) + len(self.columns.texts)
        with out.open("wb") as file:
            for numbers in self._pieces(source, where):
                self.dtype = numbers.dtype
                dtype = np.dtype(np.float64) if self.exact else numbers.dtype
                if not rows:
                    write_header(file, dtype, (0, columns))
                numbers.astype(dtype).tofile(file)
                rows += len(numbers)
            if not rows:
                raise DataError(f"{where} has no rows, expected at least one")
            file.seek(0)
            write_header(file, dtype, (rows, columns))
        self.arrays[part] = np.load(out, mmap_mode="r+")

    def order_labels(self) -> dict[str, list[str]]:
        """Renumber the labels in sorted order; return them for each column."""
        ordered = {}
        for column, name in enumerate(self.columns.texts, start=len(self.columns.numbers)):
            known = list(self.labels[name])
            if name == self.columns.split:
                new = [SPLITS.index(SPLIT_NAMES[label]) for label in known]
            else:
                ordered[name] = sorted(known, key=_sort_key)
                place = {label: number for number, label in enumerate(ordered[name])}
                new = [place[label] for label in known]
            for array in self.arrays.values():
                array[:, column] = np.array(new)[array[:, column].astype(np.intp)]
        return ordered

    def discrete(self) -> tuple[dict[str, Pair], dict[str, Pair]]:
        """The target columns that lie on a lattice, or have a value shared by many rows.

        About a million of the rows are checked.

        Returns:
            Name → a point and the step; name → the value and the share of rows that have it.
        """
        array = self.arrays.get("train", next(iter(self.arrays.values())))
        lattices, atoms = {}, {}
        for column, name in enumerate(self.columns.targets):
            values = array[:: max(1, len(array) // LOOKED_AT), column].astype(self.dtype)
            found = discreteness(values)
            if found.step is not None:
                lattices[name] = (float(values.min()), found.step)
            if found.atom is not None:
                atoms[name] = (found.atom, found.share)
        return lattices, atoms

    def dequantize(self, lattices: Mapping[str, Pair]) -> None:
        """Add uniform noise as wide as the steps, the same in every conversion."""
        generator = np.random.default_rng(42)
        columns = {self.columns.targets.index(name): found for name, found in lattices.items()}
        for array in self.arrays.values():
            dequantize(array, columns, generator=generator)

    def refuse_not_positive(self, names: Sequence[str]) -> None:
        """Refuse values ≤ 0 in columns whose logarithm is taken.

        Raises:
            DataError: naming the first value; rows are counted without dropped ones.
        """
        for name in names:
            for array in self.arrays.values():
                values = array[:, self.columns.targets.index(name)]
                [rows] = np.nonzero(values <= 0)
                if len(rows):
                    raise DataError(
                        f"{self.path}: row {rows[0] + 1}, column {name!r} is {values[rows[0]]}, "
                        "but data.log_columns needs positive values"
                    )

    def _pieces(self, source: Part, where: str) -> Iterator[NDArray[Any]]:
        """Complete rows, with labels as numbers after the numeric columns."""
        first = 1
        for piece in source.pieces(self.columns.numbers, self.columns.texts):
            rows = len(piece.numbers)
            complete = self._complete(piece, first, where)
            self.dropped += rows - int(complete.sum())
            codes = [
                self._codes(name, texts, complete, first, where)
                for name, texts in zip(self.columns.texts, piece.texts, strict=True)
            ]
            numbers = piece.numbers[complete]
            whole = [numbers, *(code[:, None].astype(numbers.dtype) for code in codes)]
            yield np.ascontiguousarray(np.concatenate(whole, axis=1))
            first += rows

    def _complete(self, piece: Piece, first: int, where: str) -> NDArray[np.bool_]:
        """Which rows are kept; refuses those that may be neither kept nor dropped."""
        labels = np.array([[not text for text in texts] for texts in piece.texts], bool)
        empty = labels.T.reshape(len(piece.numbers), len(piece.texts))
        missing = np.concatenate([np.isnan(piece.numbers), empty], axis=1)
        infinite = np.isinf(piece.numbers)
        bad = infinite if self.drop else missing | np.pad(infinite, ((0, 0), (0, empty.shape[1])))
        shown = [*piece.numbers.T, *[["empty"] * len(empty)] * empty.shape[1]]
        refuse_cells(
            np.argwhere(bad),
            shown,
            names=[*self.columns.numbers, *self.columns.texts],
            first=first,
            where=where,
        )
        return np.logical_not(missing.any(axis=1))

    def _codes(
        self,
        name: str,
        texts: Sequence[str | None],
        complete: NDArray[np.bool_],
        first: int,
        where: str,
    ) -> NDArray[np.intp]:
        labels = self.labels[name]
        codes = []
        for row in np.flatnonzero(complete).tolist():
            label = str(texts[row])
            if name == self.columns.split and label not in SPLIT_NAMES:
                raise DataError(
                    f"{where}: row {first + row}, column {name!r} holds {label!r}, "
                    f"expected one of {', '.join(SPLIT_NAMES)}"
                )
            codes.append(labels.setdefault(label, len(labels)))
        if name in self.columns.categorical and len(labels) > MOST_CATEGORIES:
            raise DataError(
                f"{where}: column {name!r} has more than {MOST_CATEGORIES} different values, "
                "too many for categories"
            )
        return np.array(codes, np.intp)


def _sort_key(label: str) -> tuple[bool, float, str]:
    return (False, float(label), label) if is_number(label) else (True, 0.0, label)
