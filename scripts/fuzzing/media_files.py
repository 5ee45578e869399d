"""Folders of digits, pictures and sound, with one file that is not as it should be."""

import gzip
import shutil
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from random import Random

import numpy as np
import soundfile
from PIL import Image

__all__ = ["FOLDERS"]


def _write_idx(path: Path, name: str, random: Random, *, edited: bool) -> tuple[Path, str]:
    path.mkdir()
    rng, told = np.random.default_rng(0), "as it should be"
    for part, count in (("train", 60), ("t10k", 10)):
        images = rng.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        labels = rng.integers(0, 10, count, dtype=np.uint8)
        images_head = struct.pack(">4I", 0x803, count, 28, 28)
        labels_head = struct.pack(">2I", 0x801, count)
        (path / f"{part}-images-idx3-ubyte").write_bytes(images_head + images.tobytes())
        (path / f"{part}-labels-idx1-ubyte").write_bytes(labels_head + labels.tobytes())
    file = random.choice(sorted(path.iterdir()))
    if edited:
        content = bytearray(file.read_bytes())
        place = random.choice([0, 4, 8, 12])
        value = random.choice([0, 1, 2, 0x802, 0xD03, 61, 10**6, 2**31, 2**32 - 1])
        content[place : place + 4] = struct.pack(">I", value)
        file.write_bytes(content)
        told = f"{file.name}: {value} at byte {place}"
    if random.random() < 0.3:
        packed = file.with_name(file.name + ".gz")
        packed.write_bytes(gzip.compress(file.read_bytes()))
        file.unlink()
        file = packed
    return file, told


def _write_pictures(path: Path, name: str, random: Random, *, edited: bool) -> tuple[Path, str]:
    rng = np.random.default_rng(0)
    for number in range(20):
        place = path / "ab"[number % 2]
        place.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(place / f"{number}{name}")
    file = random.choice(sorted(path.rglob(f"*{name}")))
    if not edited:
        return file, "as it should be"
    kind = random.choice(["size", "mode", "claimed", "another format", "nested", "no label"])
    if kind == "size":
        Image.new("RGB", random.choice([(1, 1), (5, 4), (4000, 1)])).save(file)
    elif kind == "mode":
        mode = random.choice(["1", "L", "P", "RGBA", "CMYK", "I;16", "F", "LA"])
        kind += f" {mode}"
        try:
            Image.new(mode, (4, 4)).save(file)
        except OSError:  # not in this format
            Image.new(mode, (4, 4)).save(file, format="TIFF")
    elif kind == "claimed":
        content = bytearray(file.read_bytes())
        side = random.choice([0, 40_000, 2**31 - 1, 2**32 - 1])
        content[16:24] = struct.pack(">2I", side, side)
        content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
        file.write_bytes(content)
        kind += f" {side}"
    elif kind == "another format":
        file.write_bytes(random.choice([b"", b"text", b"<svg/>", b"%!PS-Adobe-3.0\n"]))
    else:
        target = path / ("a/b/c" if kind == "nested" else ".") / file.name
        target.parent.mkdir(parents=True, exist_ok=True)
        file = Path(shutil.move(file, target))
    return file, kind


def _write_sound(path: Path, name: str, random: Random, *, edited: bool) -> tuple[Path, str]:
    rng = np.random.default_rng(0)
    for number in range(30):
        place = path / "ab"[number % 2]
        place.mkdir(parents=True, exist_ok=True)
        samples = 0.1 * rng.normal(size=16_000)
        soundfile.write(place / f"s{number // 2}_nohash_0{name}", samples, 16_000)
    file = random.choice(sorted(path.rglob(f"*{name}")))
    if not edited:
        return file, "as it should be"
    kind = random.choice(["header", "header", "length", "rate", "values", "channels", "text"])
    if kind == "header":
        content = bytearray(file.read_bytes())
        place, value = random.randrange(4, 44), random.choice([0, 1, 0x7F, 0xFF])
        content[place] = value
        file.write_bytes(content)
        kind += f": {value} at byte {place}"
    elif kind == "text":
        file.write_bytes(b"not sound")
    else:
        shape = {"length": random.choice([0, 1, 100, 10**6]), "channels": (4000, 5)}.get(
            kind, 16_000
        )
        samples = np.full(shape, 0.01)
        rate = random.choice([1, 7, 8000, 44_100, 192_000]) if kind == "rate" else 16_000
        subtype = None
        if kind == "values":
            samples[100] = random.choice([np.nan, np.inf, 1e30])
            subtype = "FLOAT" if name == ".wav" else None
        try:
            soundfile.write(file, samples, rate, subtype=subtype)
        except (AssertionError, RuntimeError, ValueError):  # not in this format
            file.write_bytes(b"")
        kind += f" {shape} {rate}"
    return file, kind


FOLDERS: dict[str, Callable[..., tuple[Path, str]]] = {
    "idx": _write_idx,
    "pictures": _write_pictures,
    "sound": _write_sound,
}
