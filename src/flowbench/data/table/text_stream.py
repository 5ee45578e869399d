"""The text of a table as UTF-8, whatever it is compressed with or encoded in."""

import bz2
import csv
import gzip
import io
import lzma
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import IO, Any

import pyarrow as pa

from flowbench.data.options import DataError
from flowbench.data.table.form import Form
from flowbench.extras import how_to_install

__all__ = ["SHEETS", "TEXTS", "Stream", "open_text", "text_suffix"]

COMPRESSED = (".gz", ".bz2", ".xz", ".zst", ".zip")
TEXTS = {".csv": ",", ".tsv": "\t", ".tab": "\t", ".txt": ",", ".dat": " "}
SHEETS = (".xlsx", ".xlsm")
BLOCK = 2**20
UTF8 = ("utf-8", "utf-8-sig", "ascii")


def text_suffix(path: Path) -> str:
    """The extension of a file before that of its compression.

    Example:
        >>> text_suffix(Path("rows.CSV.gz")), text_suffix(Path("x.parquet"))
        ('.csv', '.parquet')
    """
    suffix = path.suffix.lower()
    return Path(path.stem).suffix.lower() if suffix in COMPRESSED else suffix


def open_text(path: Path, form: Form, *, sheet: str | None, stack: ExitStack) -> tuple[IO, str]:
    """A stream of UTF-8 text without the skipped lines, and what separates its columns.

    A sheet, and text separated by whitespace, are rewritten with commas as they are read.

    Args:
        path: text, maybe compressed, or a workbook.
        form: how it is written.
        sheet: the sheet of a workbook; None: the only one.
        stack: closes what is opened.
    """
    if text_suffix(path) in SHEETS:
        rows = _without(_sheet(path, sheet, stack), form)
        return Stream(_written(rows)), ","
    file = stack.enter_context(_decompressed(path, stack))
    lines: IO = file
    if form.encoding not in UTF8:
        text = io.TextIOWrapper(file, form.encoding, newline="")
        lines = Stream(part.encode() for part in iter(lambda: text.read(BLOCK), ""))
    elif lines.peek(3)[:3] == b"\xef\xbb\xbf":  # type: ignore[attr-defined]
        lines.read(3)
    start = lines.peek(BLOCK)  # type: ignore[attr-defined]
    if b"\r" in start and b"\n" not in start:
        old = lines
        lines = Stream(part.replace(b"\r", b"\n") for part in iter(partial(old.read, BLOCK), b""))
    separator = form.separator or TEXTS[text_suffix(path)]
    if isinstance(form.skip_lines, int):
        for _ in range(form.skip_lines):
            lines.readline(BLOCK)
    else:
        lines = Stream(_without(lines, form))
    if separator != " ":
        return lines, separator
    decoded = (line.decode(errors="surrogateescape") for line in lines)
    fields = csv.reader(
        (line.replace("\t", " ").strip() for line in decoded), delimiter=" ", skipinitialspace=True
    )
    return Stream(_written(fields)), ","


class Stream(io.BufferedReader):
    """The bytes of an iterator as a file."""

    def __init__(self, parts: Iterable[bytes]) -> None:
        super().__init__(_Raw(iter(parts)), BLOCK)


class _Raw(io.RawIOBase):
    def __init__(self, parts: Iterator[bytes]) -> None:
        self.parts = parts
        self.left = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self.left:
            try:
                self.left = memoryview(next(self.parts))
            except StopIteration:
                return 0
        size = min(len(buffer), len(self.left))
        buffer[:size], self.left = self.left[:size], self.left[size:]
        return size


def _decompressed(path: Path, stack: ExitStack) -> Any:
    match path.suffix.lower():
        case ".gz":
            return gzip.open(path)
        case ".bz2":
            return bz2.open(path)
        case ".xz":
            return lzma.open(path)
        case ".zst":
            whole = stack.enter_context(pa.input_stream(str(path), compression="zstd"))
            return Stream(iter(lambda: whole.read(BLOCK), b""))
        case ".zip":
            archive = stack.enter_context(zipfile.ZipFile(path))
            names = [name for name in archive.namelist() if not name.endswith("/")]
            if len(names) != 1:
                raise DataError(f"{path} holds {len(names)} files, expected one table")
            return io.BufferedReader(archive.open(names[0]), BLOCK)  # type: ignore[arg-type]
    return path.open("rb")


def _without(lines: Iterable[Any], form: Form) -> Iterator[Any]:
    """All lines, or rows, but the skipped ones."""
    skip = form.skip_lines
    for number, line in enumerate(lines, start=1):
        if number > skip if isinstance(skip, int) else number not in skip:
            yield line


def _written(rows: Iterable[Iterable[Any]]) -> Iterator[bytes]:
    """Rows as comma-separated text."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    for cells in rows:
        writer.writerow(cells)
        if out.tell() > BLOCK // 4:
            yield out.getvalue().encode(errors="surrogateescape")
            out.seek(0)
            out.truncate()
    yield out.getvalue().encode(errors="surrogateescape")


def _sheet(path: Path, name: str | None, stack: ExitStack) -> Iterator[list[Any]]:
    """The rows of a sheet."""
    try:
        import openpyxl
    except ImportError as error:
        install = how_to_install("excel")
        raise DataError(f"{path}: reading a workbook needs openpyxl: {install}") from error
    book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    stack.callback(book.close)
    names = book.sheetnames
    if (name is None and len(names) > 1) or (name is not None and name not in names):
        raise DataError(f"{path} holds the sheets {', '.join(names)}; data.key names one of them")
    begun, empty = False, 0
    for row in book[name or names[0]].iter_rows(values_only=True):
        cells = ["" if cell is None else cell for cell in row]
        if all(cell == "" for cell in cells):
            empty += begun  # rows before the first and after the last are no part of the table
            continue
        yield from ([""] * len(cells) for _ in range(empty))
        begun, empty = True, 0
        yield cells
