"""Guesses how text is written, for advice; nothing is ever read by a guess."""

import csv
import re
from collections.abc import Sequence

from flowbench.config.overrides import override
from flowbench.data.table.form import SEPARATORS, Form
from flowbench.data.text import is_number

__all__ = ["encoding_of", "way_to_read"]

MOST_TITLES = 10  # lines above a header
COMMA = re.compile(r"[-+]?\d*,\d+")


def way_to_read(lines: Sequence[str], separator: str, form: Form) -> str:
    """The options that would read text, as a clause; empty if none are better than the given.

    Args:
        lines: the first lines, without those skipped.
        separator: what separates the columns now.
        form: how the text is read now.

    Example:
        >>> way_to_read(["a;b", "1,5;2", "1;3,5"], ",", Form())
        'data.separator=semicolon data.decimal=comma reads it'
        >>> way_to_read(["a,b", "1,2"], ",", Form())
        ''
    """
    if not isinstance(form.skip_lines, int) or form.header != 1:
        return ""
    numbers = [number for number, line in enumerate(lines, form.skip_lines) if line.strip()]
    lines = [line for line in lines if line.strip()]
    if way := _odd_header(_widths(lines, separator), numbers[0] if numbers else 0):
        return way
    found = [
        (start, -width, word)
        for word, character in SEPARATORS.items()
        for start, width in [_table(_widths(lines, character))]
        if width > 1
    ]
    if not found:
        return ""
    start, _, word = min(found)
    options = []
    if SEPARATORS[word] != separator:
        options.append(override("data.separator", word))
    if start:
        options.append(f"data.skip_lines={numbers[start]}")
        if any(map(is_number, *_split([lines[start]], SEPARATORS[word]))):
            options.append(override("data.header", "none"))
    if word != "comma" and form.decimal == ".":
        cells = [cell for row in _split(lines[start + 1 :], SEPARATORS[word]) for cell in row]
        if any(COMMA.fullmatch(cell.strip()) for cell in cells):
            options.append(override("data.decimal", "comma"))
    return f"{' '.join(options)} reads it" if options else ""


def encoding_of(start: bytes) -> str:
    """The option for text that is not in the expected encoding, from its first bytes.

    Example:
        >>> encoding_of("Zürich".encode("latin-1"))
        'data.encoding=cp1252 may be right'
    """
    if start[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "data.encoding=utf-16 reads it"
    for name in ("utf-8", "cp1252"):
        try:
            start.decode(name)
        except UnicodeDecodeError as error:
            if error.start < len(start) - 4:
                continue
        return f"data.encoding={name} may be right"
    return "data.encoding=latin-1 may be right"


def _split(lines: Sequence[str], separator: str) -> list[list[str]]:
    if separator == " ":
        return [line.split() for line in lines]
    return list(csv.reader(lines, delimiter=separator))


def _widths(lines: Sequence[str], separator: str) -> list[int]:
    try:
        return [len(row) for row in _split(lines, separator)]
    except csv.Error:
        return []


def _table(widths: Sequence[int]) -> tuple[int, int]:
    """The first line from which all have the same number of fields, and that number."""
    for start in range(min(MOST_TITLES, len(widths) // 2)):
        if len(set(widths[start:])) == 1:
            return start, widths[start]
    return 0, 0


def _odd_header(widths: Sequence[int], skipped: int) -> str:
    """The options if all rows have a field more than the header (names, in R), or others."""
    if len(widths) < 3 or widths[0] < 2 or len(set(widths[1:])) > 1 or widths[0] == widths[1] < 2:
        return ""
    options = f"data.skip_lines={skipped + 1} data.header=none"
    if widths[1] == widths[0] + 1:
        columns = override("data.columns", [str(column) for column in range(1, widths[1])])
        return f"{options} {columns} reads them without the row names"
    return f"{options} reads them" if 1 < widths[1] < widths[0] else ""
