"""A user's table as text or as a sheet: lines of cells."""

import csv
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.csv

from flowbench.config.overrides import override
from flowbench.data.options import DataError
from flowbench.data.readers import one_line, readable
from flowbench.data.table.cells import NumberColumn
from flowbench.data.table.form import Form
from flowbench.data.table.marks import without_marks
from flowbench.data.table.parts import Piece
from flowbench.data.table.sniff import encoding_of, way_to_read
from flowbench.data.table.text_stream import BLOCK, SHEETS, Stream, open_text, text_suffix
from flowbench.data.text import is_number

__all__ = ["CsvPart"]

SNIFFED = 50  # lines
FEW = 20  # rows


@dataclass
class CsvPart:
    """Cells in lines below a line of names; all columns spell missing values alike.

    Args:
        path: the file.
        form: how it is written.
        sheet: the sheet of a workbook; None: the only one.
    """

    path: Path
    form: Form = field(default_factory=Form)
    sheet: str | None = None
    problems: list[str] = field(default_factory=list)
    rows: None = None

    def __post_init__(self) -> None:
        with ExitStack() as stack:
            lines, separator = self._open(stack)
            first = self._header(lines, separator)
        if not first:
            raise DataError(f"{self.path} is empty, expected a header line and rows")
        if self.form.header is None:
            self.names = [str(column) for column in range(len(first))]
        else:
            self.names: list[str] = _different([name.strip() for name in first])
        if sum(map(bool, first)) == 1 and (way := self._way()):
            raise DataError(
                f"{self.path}: expected columns separated by {_named(separator)}, but the first "
                f"line is {first[0][:80]!r}; {way}"
            )
        titled = self.form.header is not None
        self.unnamed: list[int] = [
            at for at, name in enumerate(first) if titled and not name.strip()
        ]
        self.numbered: bool = titled and all(is_number(name) for name in first if name.strip())
        self.twice: list[str] = [
            name for name, count in Counter(first).items() if count > 1 and name
        ]

    def defaults(self) -> list[str]:
        """All columns that have a name; columns without one, and equal names, are a problem.

        Raises:
            DataError: all names are numbers, as in a file without a header.
        """
        if self.numbered:
            first = ", ".join([*self.names[:3], "…"] if len(self.names) > 3 else self.names)
            raise DataError(
                f"{self.path}: the first line must be a header, but holds only numbers: "
                f"{first}; data.header=none if it is a row, data.columns=[...] if these are names"
            )
        if self.unnamed:
            self.problems.append(
                f"column {self.unnamed[0] + 1} has no name (index=False writes a data frame "
                "without its index)"
            )
        if self.form.header is not None and self.twice:
            name = self.twice[0]
            self.problems.append(f"the column {name!r} comes twice, the second is {name}.1 here")
        return [name for at, name in enumerate(self.names) if at not in self.unnamed]

    def pieces(self, numbers: Sequence[str], texts: Sequence[str]) -> Iterator[Piece]:
        """Some columns, block by block."""
        columns = [NumberColumn(self.form) for _ in numbers]
        for batch in self._batches([*numbers, *texts]):
            with readable(self.path, text_suffix(self.path)):
                read = [
                    column.read(batch.column(name))
                    for column, name in zip(columns, numbers, strict=True)
                ]
                wrong = {name: bad for name, (_, bad) in zip(numbers, read, strict=True) if bad}
                labels = []
                for name in texts:
                    words = [text.strip() for text in batch.column(name).to_pylist()]
                    missing = set(filter(self.form.is_missing_label, set(words)))
                    doubtful = set(filter(self.form.is_doubtful_label, set(words)))
                    labels.append([None if word in missing else word for word in words])
                    if doubtful:
                        wrong[name] = {i: word for i, word in enumerate(words) if word in doubtful}
                values = np.stack([values for values, _ in read], axis=1)
            yield without_marks(Piece(values, labels, wrong), self.form)

    def _batches(self, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """The cells of some columns, as written; rows of another length are told."""
        ragged = 0

        def skip(_: object) -> str:
            nonlocal ragged
            ragged += 1
            return "skip"

        with ExitStack() as stack:
            stack.enter_context(_undecodable_rows_unprinted())
            lines, separator = self._open(stack)
            self._header(lines, separator) if self.form.header is not None else None
            try:
                if not lines.peek(1):  # type: ignore[attr-defined]
                    return
                whole = _with_blanks(lines) if len(self.names) == 1 else lines
                with pyarrow.csv.open_csv(
                    whole,
                    read_options=pyarrow.csv.ReadOptions(column_names=self.names),
                    parse_options=pyarrow.csv.ParseOptions(
                        delimiter=separator, newlines_in_values=True, invalid_row_handler=skip
                    ),
                    convert_options=pyarrow.csv.ConvertOptions(
                        column_types=dict.fromkeys(names, pa.string()),
                        include_columns=list(names),
                    ),
                ) as batches:
                    yield from batches
            except Exception as error:
                if "Empty CSV" in str(error):
                    return
                with readable(self.path, text_suffix(self.path)):
                    self._tell_ragged()
                fault = "; ".join(self.problems) or one_line(error)
                raise DataError(f"{self.path}: {fault}") from error
        if ragged:
            with readable(self.path, text_suffix(self.path)):
                self._tell_ragged()

    def _tell_ragged(self) -> None:
        """Note which rows have another length; if that comes from the form, raise.

        Raises:
            DataError: with the options that read the file.
        """
        lines: list[int] = []
        with ExitStack() as stack:
            text, separator = self._open(stack)
            number = self.form.skip_lines if isinstance(self.form.skip_lines, int) else 0
            rows = self._numbered(text, separator)
            for _ in range(self.form.header or 0):
                number += next(rows)[0]
            told, row = "", 0
            for height, cells in rows:
                number += height
                row += bool(cells)
                if cells and len(cells) != len(self.names):
                    plural = "" if len(cells) == 1 else "s"
                    expected = f"expected {len(self.names)}"
                    told = told or f"row {row} has {len(cells)} field{plural}, {expected}"
                    lines.append(number)
        if len(lines) > 1:
            told += f" (and {len(lines) - 1} more such rows)"
        if way := self._way():
            raise DataError(f"{self.path}: {told}; {way}")
        if len(lines) <= FEW and isinstance(self.form.skip_lines, int):
            skipped = [*range(1, self.form.skip_lines + 1), *lines]
            told += f"; {override('data.skip_lines', map(str, skipped))} leaves out such rows"
        self.problems.append(told)

    def _open(self, stack: ExitStack) -> tuple[IO, str]:
        with readable(self.path, text_suffix(self.path)):
            return open_text(self.path, self.form, sheet=self.sheet, stack=stack)

    def _header(self, lines: IO, separator: str) -> list[str]:
        """The cells of the header, or of the first row if there is none."""
        with readable(self.path, text_suffix(self.path)):
            for _ in range((self.form.header or 1) - 1):
                lines.readline(BLOCK)
            return next((row for row in self._rows(lines, separator) if row), [])

    def _rows(self, lines: IO, separator: str) -> Iterator[list[str]]:
        """Cells, row by row."""
        return (cells for _, cells in self._numbered(lines, separator))

    def _numbered(self, lines: IO, separator: str) -> Iterator[tuple[int, list[str]]]:
        """How many lines a row takes, and its cells."""
        read = iter(lambda: lines.readline(16 * BLOCK), b"")
        decoded = (line.decode(errors="surrogateescape") for line in read)
        rows, before = csv.reader(decoded, delimiter=separator), 0
        for cells in rows:
            try:
                "".join(cells).encode()
            except UnicodeEncodeError as error:
                way = "" if text_suffix(self.path) in SHEETS else f"; {encoding_of(self._start())}"
                name = self.form.encoding.upper()
                raise DataError(f"{self.path} is no {name} text{way}") from error
            yield rows.line_num - before, cells
            before = rows.line_num

    def _start(self) -> bytes:
        """The first bytes as they are."""
        with ExitStack() as stack:
            raw = Form(encoding="latin-1")
            lines, _ = open_text(self.path, raw, sheet=None, stack=stack)
            return lines.read(BLOCK).decode().encode("latin-1")

    def _way(self) -> str:
        """The options that would read the first lines, as a clause, if any."""
        with ExitStack() as stack:
            lines, separator = self._open(stack)
            start = [lines.readline(BLOCK).decode(errors="replace") for _ in range(SNIFFED)]
            if text_suffix(self.path) in SHEETS:  # all rows of a sheet are as wide as the longest
                start = [line.rstrip(",\n") for line in start]
        return way_to_read(start, separator, self.form)


def _with_blanks(lines: IO[bytes]) -> IO[bytes]:
    """The lines of a single column, in which one without text, but for the last, is a cell."""

    def written() -> Iterator[bytes]:
        empty = 0
        for line in lines:
            if not line.strip():
                empty += 1
                continue
            yield b'""\n' * empty + line
            empty = 0

    return Stream(written())


def _different(names: Sequence[str]) -> list[str]:
    """Names of which the later of equal ones are numbered, as pandas does; none is empty.

    Example:
        >>> _different(["a", "", "a"])
        ['a', 'column 2', 'a.1']
    """
    seen: Counter[str] = Counter()
    different = []
    for number, name in enumerate(names, start=1):
        different.append(f"{name}.{seen[name]}" if seen[name] else name or f"column {number}")
        seen[name] += bool(name)
    return different


def _named(separator: str) -> str:
    words = {",": "commas", ";": "semicolons", "\t": "tabs", " ": "blanks"}
    return words.get(separator, repr(separator))


@contextmanager
def _undecodable_rows_unprinted() -> Iterator[None]:
    """PyArrow prints a traceback for a row of another length that is no UTF-8, and then fails."""
    printed = sys.unraisablehook

    def hook(told: Any) -> None:
        if not isinstance(told.exc_value, UnicodeDecodeError):
            printed(told)

    sys.unraisablehook = hook
    try:
        yield
    finally:
        sys.unraisablehook = printed
