"""Data files in every format that is read, and what goes wrong with them."""

from importlib.util import find_spec
from pathlib import Path
from random import Random

from fuzzing.array_files import write_arrays
from fuzzing.damages import damage_bytes
from fuzzing.media_files import FOLDERS
from fuzzing.text_files import edited_frame, edited_text, packed, sound_frame, text_of, write_frame

__all__ = ["FORMATS", "write"]

TEXTS = (".csv", ".tsv", ".csv.gz", ".csv.bz2", ".csv.xz", ".csv.zst", ".csv.zip")
FORMATS: dict[str, str] = dict.fromkeys(TEXTS, "text")  # extension → kind
FORMATS |= dict.fromkeys((".parquet", ".feather"), "frame")
FORMATS |= {".xlsx": "frame"} if find_spec("openpyxl") else {}
FORMATS |= dict.fromkeys((".npy", ".npz", ".h5"), "array") | {"idx": "idx"}
FORMATS |= dict.fromkeys((".png", ".gif", ".jpg"), "pictures")
FORMATS |= dict.fromkeys((".wav", ".flac", ".ogg"), "sound")


def write(folder: Path, name: str, random: Random, *, damaged: bool) -> tuple[str, Path, bool]:
    """Write a data file, or a folder of them.

    Args:
        folder: where.
        name: one of `FORMATS`.
        random: what is drawn from.
        damaged: whether something is wrong with it.

    Returns:
        What was done, the path for `data.path`, and whether it must be read as if undamaged.
    """
    kind = FORMATS[name]
    path = folder / (f"rows{name}" if name.startswith(".") else name)
    told, same = "as it should be", False
    content = damaged and random.random() < 0.65
    if kind in ("text", "frame"):
        rows = sound_frame()
        if content and (kind == "frame" or random.random() < 0.6):
            rows, told = edited_frame(rows, random)
            content = False
        if kind == "frame":
            told = write_frame(path, rows, told)
        else:
            text = text_of(rows, "\t" if name == ".tsv" else ",")
            if content:
                text, told, same = edited_text(text, random)
            path.write_bytes(packed(text, name))
        file = path
    elif kind == "array":
        told = write_arrays(path, random, edited=content)
        file = path
    else:
        path = folder / "data"
        file, told = FOLDERS[kind](path, name, random, edited=content)
    if damaged and told == "as it should be":
        told = damage_bytes(file, random)
    return told, path, same
