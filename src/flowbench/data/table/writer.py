"""Converts a user's table to arrays of numbers in chunks, reporting anything unusual."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flowbench.data.download.archives import require_space
from flowbench.data.options import DataError
from flowbench.data.raw import SPLITS
from flowbench.data.split_names import SPLIT_NAMES, split_of
from flowbench.data.table.columns import Columns
from flowbench.data.table.faults import Faults
from flowbench.data.table.parts import Part, Piece
from flowbench.data.text import is_number
from flowbench.disk import write_header

__all__ = ["TableWriter"]

MOST_CATEGORIES = 1000


class TableWriter:
    """Writes one array `[rows, columns]` per part of a table.

    Labels become numbers: categories and groups in sorted order (numerically, if they are
    numbers), splits as 0, 1, 2.

    Args:
        folder: where the arrays are written.
        columns: columns to write.
        path: path of the table, for messages.
        faults: takes note of what is wrong.
        logs: columns whose logarithm is taken.
    """

    def __init__(
        self, folder: Path, *, columns: Columns, path: Path, faults: Faults, logs: Sequence[str]
    ) -> None:
        self.folder = folder
        self.columns = columns
        self.path = path
        self.faults = faults
        self.logs = logs
        self.dropped = self.weightless = self.kept = 0
        self.not_positive: dict[str, tuple[str, int, Any]] = {}  # where, row, value
        self.labels: dict[str, dict[str, int]] = {name: {} for name in columns.texts}
        self.arrays: dict[str, NDArray[Any]] = {}

    def write(self, part: str, source: Part) -> None:
        """Write one part, or as much of it as is free of faults.

        Raises:
            DataError: a label is invalid, or the disk has too little space.
        """
        where = "" if part == "all" else f"'{part}'"
        out = self.folder / f"{part}.npy"
        width = len(self.columns.numeric) + len(self.columns.texts)
        self._require_space((source.rows or 0) * width * 8)
        rows = 0
        with out.open("wb") as file:
            dtype = np.dtype(np.float64)
            write_header(file, dtype, (rows, width))
            for numbers in self._pieces(source, where):
                dtype = numbers.dtype
                self._require_space(numbers.nbytes)
                numbers.tofile(file)
                rows += len(numbers)
            file.seek(0)
            write_header(file, dtype, (rows, width))
        self.kept += rows
        self.arrays[part] = np.load(out, mmap_mode="r+")

    def refuse_faults(self, problems: Sequence[str]) -> None:
        """Refuse a table with faults in its form or its cells, or without rows.

        Raises:
            DataError: naming them all.
        """
        self.faults.refuse(str(self.path), problems, kept=self.kept)
        for part, array in self.arrays.items():
            if not len(array):
                raise DataError(f"'{part}' of {self.path} has no rows, expected at least one")

    def _require_space(self, size: int) -> None:
        require_space(self.folder, size, what=f"converting {self.path}")

    def order_labels(self) -> dict[str, list[str]]:
        """Renumber the labels in sorted order; return them for each column."""
        ordered = {}
        for column, name in enumerate(self.columns.texts, start=len(self.columns.numbers)):
            known = list(self.labels[name])
            if name == self.columns.split:
                new = [SPLITS.index(split_of(label) or "") for label in known]
            else:
                ordered[name] = sorted(known, key=_sort_key)
                place = {label: number for number, label in enumerate(ordered[name])}
                new = [place[label] for label in known]
            for array in self.arrays.values():
                array[:, column] = np.array(new)[array[:, column].astype(np.intp)]
        return ordered

    def refuse_not_positive(self) -> None:
        """Refuse values ≤ 0 in columns whose logarithm is taken.

        Raises:
            DataError: naming the first value of a row that is kept.
        """
        for name in self.logs:
            if name in self.not_positive:
                where, row, value = self.not_positive[name]
                raise DataError(
                    f"{f'{where} of ' if where else ''}{self.path}: row {row}, column {name!r} is "
                    f"{value}, but data.log_columns needs positive values"
                )

    def _pieces(self, source: Part, where: str) -> Iterator[NDArray[Any]]:
        """Rows to keep: numbers, then labels as numbers, then the weight."""
        first, count = 1, len(self.columns.numbers)
        for piece in source.pieces(self.columns.numeric, self.columns.texts):
            rows = len(piece.numbers)
            self.faults.see(where, first, piece)
            complete = self._complete(piece)
            self.dropped += rows - int(complete.sum())
            if self.columns.weight is not None:
                weightless = complete & (piece.numbers[:, -1] == 0)
                self.weightless += int(weightless.sum())
                complete &= ~weightless
            self._see_not_positive(piece.numbers, complete, first, where)
            codes = [
                self._codes(name, texts, complete, first, where)
                for name, texts in zip(self.columns.texts, piece.texts, strict=True)
            ]
            numbers = piece.numbers[complete]
            labels = [code[:, None].astype(numbers.dtype) for code in codes]
            whole = [numbers[:, :count], *labels, numbers[:, count:]]
            yield np.ascontiguousarray(np.concatenate(whole, axis=1))
            first += rows

    def _see_not_positive(
        self, numbers: NDArray[Any], complete: NDArray[np.bool_], first: int, where: str
    ) -> None:
        """Note where each column whose logarithm is taken first has a value ≤ 0."""
        for name in self.logs:
            if name not in self.not_positive:
                values = numbers[:, self.columns.targets.index(name)]
                cells = complete & (values <= 0)
                if cells.any():
                    row = int(cells.argmax())
                    self.not_positive[name] = (where, first + row, values[row])

    def _complete(self, piece: Piece) -> NDArray[np.bool_]:
        """Which rows miss nothing that they must have; what is wrong counts as present."""
        labels = np.array([[not text for text in texts] for texts in piece.texts], bool)
        empty = labels.T.reshape(len(piece.numbers), len(piece.texts))
        missing = np.concatenate([np.isnan(piece.numbers), empty], axis=1)
        names = [*self.columns.numeric, *self.columns.texts]
        for name, cells in piece.wrong.items():
            missing[list(cells), names.index(name)] = False
        targets = len(self.columns.targets)
        if self.faults.form.marginalizes and targets:
            missing[:, :targets] = missing[:, :targets].all(axis=1, keepdims=True)
        return np.logical_not(missing.any(axis=1))

    def _codes(
        self,
        name: str,
        texts: Sequence[str | None],
        complete: NDArray[np.bool_],
        first: int,
        part: str,
    ) -> NDArray[np.intp]:
        where = f"{part} of {self.path}" if part else str(self.path)
        labels = self.labels[name]
        codes = []
        for row in np.flatnonzero(complete).tolist():
            label = str(texts[row])
            if name == self.columns.split and split_of(label) is None:
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
