"""Tables in text and sheets, as people and programs write them."""

import bz2
import gzip
import io
import lzma
import zipfile
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

__all__ = [
    "HUGE",
    "ROWS",
    "edited_frame",
    "edited_text",
    "packed",
    "sound_frame",
    "text_of",
    "write_frame",
]

ROWS = 60
HUGE = [1e308, -1e308, 1e39, 1e-320, float("inf"), float("-inf"), float("nan"), 2**53 + 1, 2**70]
CELLS = [
    *HUGE,
    0,
    -0.0,
    True,
    None,
    "",
    " ",
    "x",
    "?",
    "NA",
    "-999",
    "1,5",
    "1.000,5",
    "12%",
    "$3",
]
CELLS += [
    "2024-02-30",
    "12:30",
    "1e5",
    "0x1f",
    "٣",
    "ünï",
    "日本",
    "🙂",
    '"',
    "'",
    'a"b',
    "a,b",
    "a\nb",
]
CELLS += ["=1+1", "=cmd|' /C calc'!A0", "\x00", "9" * 400, "x" * 5000, "1 2", "+1", "1_000", "nan"]
NAMES = ["", " ", "a", "0", "1.5", "nan", "a.b", "ünï", "a\nb", 'a"b', "a,b", "x" * 3000, "null"]


def sound_frame() -> pd.DataFrame:
    """Three columns of independent numbers."""
    rng = np.random.default_rng(0)
    columns = {name: rng.normal(size=ROWS).round(4) for name in "abc"}
    return pd.DataFrame(columns)


def text_of(frame: pd.DataFrame, separator: str) -> bytes:
    """The table as `.csv` or `.tsv`."""
    return frame.to_csv(index=False, sep=separator).encode("utf-8", "surrogatepass")


def packed(text: bytes, name: str) -> bytes:
    """Compressed as the extension says."""
    match name.rpartition(".")[2]:
        case "gz":
            return gzip.compress(text, mtime=0)
        case "bz2":
            return bz2.compress(text)
        case "xz":
            return lzma.compress(text)
        case "zst":
            return pa.compress(text, "zstd", asbytes=True)
        case "zip":
            whole = io.BytesIO()
            with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
                archive.writestr("rows.csv", text)
            return whole.getvalue()
    return text


def edited_frame(frame: pd.DataFrame, random: Random) -> tuple[pd.DataFrame, str]:
    """Other cells, columns, rows or names, and what was done."""
    kind = random.choice(["cells", "cells", "cells", "column", "column", "rows", "names", "wide"])
    if kind == "cells":
        values = [random.choice(CELLS) for _ in range(random.choice([1, 1, 2, 40]))]
        frame = frame.astype(object)
        for value in values:
            frame.iat[random.randrange(len(frame)), random.randrange(3)] = value
        return frame, f"cells {[str(value)[:20] for value in values[:3]]!r}"
    if kind == "rows":
        count = random.choice([0, 1, 2, 3, 5, 9])
        return frame.head(count), f"{count} rows"
    if kind == "names":
        names = [random.choice(NAMES) for _ in range(3)]
        return frame.set_axis(names, axis=1), f"names {[name[:20] for name in names]!r}"
    if kind == "wide":
        return pd.concat([frame.add_suffix(str(i)) * (i + 1) for i in range(100)], axis=1), "wide"
    column: dict[str, Any] = {
        "duplicated": frame["a"],
        "constant": 3.5,
        "sum": frame["a"] + frame["b"],
        "nearly the sum": frame["a"] + frame["b"] + 1e-9 * frame["c"],
        "missing": np.nan,
        "whole": (frame["a"] * 10).astype(int),
        "booleans": frame["a"] > 0,
        "dates": pd.Timestamp("2024-01-01") + pd.to_timedelta(range(ROWS), "D"),
        "labels": ["x" if value > 0 else "y" for value in frame["a"]],
        "huge": frame["a"] * 1e300,
        "tiny": frame["a"] * 1e-300,
        "far": frame["a"] + 1e12,
        "one outlier": frame["a"].where(frame.index != 7, 1e30),
        "zero but once": (frame.index == 7).astype(float),
    }
    told = random.choice(list(column))
    return frame.assign(**{random.choice(["b", "d"]): column[told]}), f"column {told}"


def edited_text(text: bytes, random: Random) -> tuple[bytes, str, bool]:
    """A text written otherwise, and whether it still says the same."""
    lines = text.splitlines()
    place = random.randrange(1, len(lines))
    quoted = [b",".join(b'"%s"' % cell for cell in line.split(b",")) for line in lines]
    same: dict[str, bytes] = {
        "CRLF": b"\r\n".join([*lines, b""]),
        "CR CRLF mixed": b"\r\n".join(lines[:place]) + b"\r\n" + b"\n".join([*lines[place:], b""]),
        "BOM": b"\xef\xbb\xbf" + text,
        "no last line feed": text.rstrip(b"\n"),
        "blank last lines": text + b"\n\n",
    }
    if b"\t" not in text:
        same["quoted"] = b"\n".join([*quoted, b""])
    other: dict[str, bytes] = {
        "empty": b"",
        "blank": b"\n\n \n",
        "header only": lines[0] + b"\n",
        "no header": b"\n".join(lines[1:]),
        "header twice": lines[0] + b"\n" + text,
        "comment": b"# made by x\n" + text,
        "UTF-16": text.decode().encode("utf-16"),
        "Latin-1": text.replace(b"a", b"\xe9", 1),
        "semicolons": text.replace(b",", b";"),
        "decimal commas": text.replace(b",", b";").replace(b".", b","),
        "spaces": text.replace(b",", b"  "),
        "last cells missing": text.replace(lines[place], lines[place][:3]),
        "one cell more": text.replace(lines[place], lines[place] + b",1"),
        "open quote": text.replace(lines[place], b'"' + lines[place]),
        "NUL": text.replace(lines[place], lines[place] + b"\0"),
        "CR only": text.replace(b"\n", b"\r"),
        "one endless line": text + b"1" * 3_000_000,
        "a million separators": text + b"," * 1_000_000,
        "separators after each row": text.replace(b"\n", b",\n"),
        "markup": b"<!DOCTYPE html><html><body>not found</body></html>",
        "another format": b"\x93NUMPY\x01\x00v\x00{'descr': '<f8', 'shape': (3, 3)}\n" + bytes(72),
        "JSON": b'[{"a": 1, "b": 2}]',
    }
    kinds = same | other
    told = random.choice([*same, *other])
    return kinds[told], told, told in same


def write_frame(path: Path, frame: pd.DataFrame, told: str) -> str:
    """Write a frame; what its format cannot hold is written as text in all columns."""
    writers: dict[str, Callable[[pd.DataFrame], None]] = {
        ".xlsx": lambda frame: frame.to_excel(path, index=False),
        ".parquet": lambda frame: frame.to_parquet(path),
        ".feather": lambda frame: frame.reset_index(drop=True).to_feather(path),
    }
    for form in (lambda: frame, lambda: frame.astype(str).replace("\x00", "?", regex=False)):
        try:
            writers[path.suffix](form())
        except Exception:  # each library refuses in its own way
            continue
        return told
    writers[path.suffix](sound_frame())
    return "as it should be"
