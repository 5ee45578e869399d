"""All that is wrong with the cells of a table, told together with the options that read it."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flowbench.config.overrides import override
from flowbench.data.options import DataError
from flowbench.data.table.columns import Columns
from flowbench.data.table.form import Form
from flowbench.data.table.parts import Piece

__all__ = ["Column", "Faults", "kind_of"]

SHOWN = 8  # columns
MOST_DISTINCT = 1000
MOST_LABELS = 50
MONTHS = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"
KINDS = {  # of cells that are not numbers
    "rounded": r"[-+]?\d{16,}",
    "number": r"[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?",
    "date": rf"\d{{4}}[-/.]\d\d?([-/.]\d\d?.*)?|\d\d?[-/.]\d\d?[-/.]\d{{2,4}}.*|\d\d?:\d\d.*"
    rf"|\d{{4}} ?[qm]\d+|(\d\d?[ -])?({MONTHS})[a-z]*[ .,-]+\d.*",
    "grouped": r"[-+]?\d{1,3}([,' ]\d{3})+(\.\d+)?",
    "decimal comma": r"[-+]?\d*,\d+|[-+]?\d+,",
    "unit": r"[-+(]*\s*[$€£¥]\s*[\d.,]+\)?[kmb]?|[-+]?[\d.,]+\s*([%‰°$€£¥]|[a-z]{1,3})",
}
EXPECTED = {
    "date": "a finite number, not a date",
    "grouped": "a finite number, written like 1234.5",
    "decimal comma": "a finite number, written like 1234.5",
    "rounded": "a number up to 2⁵³, beyond which float64 rounds whole numbers",
    "unit": "a finite number without a unit",
    "number": "true or false, as the column begins",
}
LONG = 40  # characters of a cell


def kind_of(cell: str) -> str:
    """What a cell seems to be that is not a number.

    Example:
        >>> [kind_of(cell) for cell in ("2020-01-31", "$18.91", "1,5", "1,234,567", "?")]
        ['date', 'unit', 'decimal comma', 'grouped', 'text']
    """
    found = (kind for kind, form in KINDS.items() if re.fullmatch(form, cell, re.IGNORECASE))
    return next(found, "text")


class Column:
    """What has been seen of a column."""

    def __init__(self, name: str, *, numeric: bool, decimal: str, weight: bool = False) -> None:
        self.name = name
        self.decimal = decimal
        self.numeric = numeric
        self.weight = weight
        self.rows: int = 0
        self.missing: int = 0
        self.infinite: int = 0
        self.negative: int = 0
        self.fractional: bool = False
        self.first: dict[str, tuple[str, int, Any]] = {}  # of a fault: the part, row and cell
        self.wrong: Counter[str] = Counter()  # of at most `MOST_DISTINCT` cells
        self.wrong_cells: int = 0
        self.low: float = np.inf
        self.high: float = -np.inf

    def see(self, part: str, first: int, values: Any, wrong: dict[int, str]) -> None:
        """Rows of a piece.

        Args:
            part: where they are, for messages.
            first: the number of the first one.
            values: numbers, or labels with None where missing.
            wrong: index → a cell that is neither.
        """
        self.rows += len(values)
        if self.numeric:
            empty, infinite = np.isnan(values), np.isinf(values)
            finite = values[~(empty | infinite)]
            if len(finite):
                self.low = min(self.low, float(finite.min()))
                self.high = max(self.high, float(finite.max()))
                self.fractional = self.fractional or bool((finite % 1).any())
        else:
            empty = np.array([text is None for text in values], bool)
            infinite = np.zeros(len(values), bool)
        empty[list(wrong)] = False
        negative = values < 0 if self.weight else np.zeros(len(values), bool)
        self.missing += int(empty.sum())
        self.infinite += int(infinite.sum())
        self.negative += int(negative.sum())
        faults = {"missing": empty, "infinite": infinite, "negative": negative}
        for fault, cells in faults.items():
            if fault not in self.first and cells.any():
                index = int(cells.argmax())
                told = "empty" if values[index] is None else values[index]
                self.first[fault] = (part, first + index, told)
        self.wrong_cells += len(wrong)
        if wrong:
            index = next(iter(wrong))
            self.first.setdefault("wrong", (part, first + index, wrong[index]))
            for cell in wrong.values():
                if cell in self.wrong or len(self.wrong) < MOST_DISTINCT:
                    self.wrong[cell] += 1

    @property
    def constant(self) -> bool:
        """Whether all its numbers are the same."""
        return self.numeric and self.low == self.high and not self.wrong and not self.weight

    def told(self, *, drops: bool) -> Iterator[tuple[str, str]]:
        """Where the first fault of each kind is, and what it is."""
        if self.wrong:
            part, row, cell = self.first["wrong"]
            shown = repr(cell if len(cell) <= LONG else f"{cell[:LONG]}…")
            expected = f"expected {EXPECTED.get(self.kind, 'a finite number')}"
            if self.kind == "number" and self.decimal == ",":
                expected = "expected a number with a decimal comma"
            if not self.numeric:
                expected = "which may be a label or stand for a missing one"
            count = _more(self.wrong_cells)
            yield part, f"row {row}, column {self.name!r} holds {shown}, {expected}{count}"
        for fault, count in (("missing", self.missing), ("infinite", self.infinite)):
            if count and not (drops and fault == "missing"):
                part, row, cell = self.first[fault]
                yield part, f"row {row}, column {self.name!r} is {cell}{_more(count)}"
        if self.negative:
            part, row, cell = self.first["negative"]
            told = f"row {row}, column {self.name!r} is {cell:g}, expected a weight of at least 0"
            yield part, told + _more(self.negative)
        if self.constant and self.rows > 1:
            yield "", f"column {self.name!r} must vary, but is constant (always {self.low + 0:g})"

    @property
    def kind(self) -> str:
        """What most of the wrong cells are."""
        kinds: Counter[str] = Counter()
        for cell, count in self.wrong.items():
            kinds[kind_of(cell)] += count
        return kinds.most_common(1)[0][0]

    @property
    def numbers(self) -> int:
        """How many cells are numbers."""
        return self.rows - self.missing - self.wrong_cells

    @property
    def marks(self) -> list[str]:
        """The few texts beside numbers, which may stand for missing values."""
        few = len(self.wrong) <= 5 and self.wrong_cells <= self.numbers
        short = all(len(cell) <= LONG for cell in self.wrong)
        known = self.kind not in ("rounded", "number")
        return list(self.wrong) if few and short and known else []

    @property
    def categorical(self) -> bool:
        """Whether it holds few labels, each often."""
        few = 2 <= len(self.wrong) <= MOST_LABELS
        return self.kind == "text" and not self.numbers and few and min(self.wrong.values()) >= 5


def _more(count: int) -> str:
    return f" (and {count - 1} more such cells)" if count > 1 else ""


class Faults:
    """What is wrong with the cells of a table.

    Args:
        columns: its columns by role.
        form: how it is written.
        chosen: whether the user named the modelled columns.
        listed: whether they must be named, since the names of the file are odd.
    """

    def __init__(
        self, columns: Columns, form: Form, *, chosen: bool = True, listed: bool = False
    ) -> None:
        self.roles = columns
        self.form = form
        self.chosen = chosen
        self.listed: bool = listed and not chosen
        self.columns: dict[str, Column] = {
            name: Column(
                name,
                numeric=name in columns.numeric,
                decimal=form.decimal,
                weight=name == columns.weight,
            )
            for name in [*columns.numeric, *columns.texts]
        }

    def see(self, part: str, first: int, piece: Piece) -> None:
        """Take note of a piece whose first row has the number `first` in a part of the table."""
        values: list[NDArray[Any] | list[str | None]] = [*piece.numbers.T, *piece.texts]
        for column, cells in zip(self.columns.values(), values, strict=True):
            column.see(part, first, cells, dict(piece.wrong.get(column.name, {})))

    def any(self) -> bool:
        """Whether something seen so far must be refused."""
        drops = self.form.drops
        return any(
            column.wrong or column.infinite or column.negative or (column.missing and not drops)
            for column in self.columns.values()
        )

    def refuse(self, where: str, problems: Sequence[str], *, kept: int) -> None:
        """Refuse a table with faults.

        Args:
            where: the file.
            problems: what is wrong with its form.
            kept: how many rows are left of those seen.

        Raises:
            DataError: naming the first cell of each column, and the options that read the rest.
        """
        told = [
            f"{sentence}{f' in {part}' if part else ''}"
            for column in self.columns.values()
            for part, sentence in column.told(drops=self.form.drops)
        ]
        rows = max(column.rows for column in self.columns.values())
        if not self.any() and not kept and rows:
            told = ["no row is left without the rows that have missing values"]
        elif not rows and not problems:
            raise DataError(f"{where} has no rows, expected at least one")
        told = [*problems, *told]
        if told and (problems or self.any() or not kept):
            more = len(told) - SHOWN
            text = "; ".join(told[:SHOWN]) + (f"; and {more} more columns" if more > 0 else "")
            raise DataError(f"{where}: {text}{self._way_out(few=kept < rows / 2)}")

    def refuse_wrong(self, where: str, problems: Sequence[str]) -> None:
        """Refuse a file that is scored if a cell is neither a number nor missing.

        Raises:
            DataError: naming the first such cell of each column.
        """
        told = [
            sentence
            for column in self.columns.values()
            if column.wrong or column.negative
            for _, sentence in column.told(drops=True)
        ]
        if told := [*problems, *told]:
            raise DataError(f"{where}: {'; '.join(told[:SHOWN])}")

    def _way_out(self, *, few: bool) -> str:
        """The options that read what can be read, as a clause; none for a negative weight."""
        if any(column.negative for column in self.columns.values()):
            return ""
        marks: list[str | float] = []
        labels: list[str] = []
        left = {column.name for column in self.columns.values() if column.constant}
        left.update(self._too_empty(few=few))
        point = any(column.fractional and not column.wrong for column in self.columns.values())
        comma = False
        for name, column in self.columns.items():
            if column.wrong and column.numeric and name not in left:
                if column.kind == "decimal comma" and self.form.decimal == "." and not point:
                    comma = True
                elif column.marks:
                    marks += column.marks
                elif column.categorical:
                    labels.append(name)
                else:
                    left.add(name)
            if column.infinite and name not in left:
                marks += ["inf", "-inf"]
        kept = [column for name, column in self.columns.items() if name not in left]
        words = [word for column in kept if not column.numeric for word in column.wrong]
        options = list(self._options(list(dict.fromkeys(marks)), labels, left))
        if comma:
            options.append(override("data.decimal", "comma"))
        if not marks and not self.form.drops and (words or any(one.missing for one in kept)):
            options.insert(0, override("data.missing", "drop"))
        also = f", or data.missing=[] takes {words[0]} as a label" if words else ""
        if not self.form.drops and any(c.missing and c.name in self.roles.targets for c in kept):
            also += ", or data.missing=marginalize keeps all rows, for model=gaussian_mixture"
        return f"; the rest is read with {' '.join(options)}{also}" if options else also

    def _too_empty(self, *, few: bool) -> list[str]:
        """Columns of numbers with so many missing values that they had better be left out."""
        shares = {
            name: column.missing / max(1, column.rows)
            for name, column in self.columns.items()
            if column.numeric and column.missing
        }
        most = 0.2 if few and any(share > 0.2 for share in shares.values()) else 0.5
        found = [name for name, share in shares.items() if share > most]
        return found or (list(shares) if few and self.form.drops else [])

    def _options(
        self, marks: list[str | float], labels: list[str], left: set[str]
    ) -> Iterator[str]:
        roles = self.roles
        if marks:
            kept = ["marginalize"] if self.form.marginalizes else []
            yield override("data.missing", [*kept, *(self.form.marks or []), *marks])
        if labels:
            yield override("data.categorical_columns", [*roles.categorical, *labels])
        gone = {*labels, *left}
        targets = [name for name in roles.targets if name not in gone]
        lost = left.intersection(roles.targets) or (self.chosen and gone)
        if targets and (lost or self.listed):
            yield override("data.columns", targets)
        if gone.intersection(roles.contexts):
            contexts = [name for name in roles.contexts if name not in gone]
            yield override("data.context_columns", contexts)
