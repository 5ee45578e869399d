"""Arrays in `.npy`, `.npz` and `.h5`, with wrong types, shapes, values and headers."""

import os
import struct
from pathlib import Path
from random import Random
from typing import Any

import h5py
import numpy as np

from fuzzing.text_files import HUGE, ROWS, sound_frame

__all__ = ["write_arrays"]

DTYPES = ["f2", "f4", ">f8", "i1", "u8", "?", "c16", "U3", "S3", "M8[s]", "f16", "i2,f8", "O"]
SHAPES = [(), (0,), (7,), (0, 3), (3, 0), (1, 3), (2, 3), (4, 5, 6), (60, 1), (3, 60)]


class _Payload:
    """What a pickle would run."""

    def __reduce__(self) -> Any:
        return os.mkdir, ("MADE",)


def write_arrays(path: Path, random: Random, *, edited: bool) -> str:
    """Write three columns of numbers, and tell what is wrong with them."""
    sound = sound_frame().to_numpy()
    told, array = "as it should be", sound
    if edited:
        told, array = _edited_array(sound, random)
    arrays: dict[str, Any] = {"x": array}
    if edited and path.suffix != ".npy" and random.random() < 0.6:
        names = random.choice([("train", "val", "test"), ("Train", "dev"), ("a", "b"), ("../x",)])
        arrays = {name: random.choice([sound, array]) for name in names}
        told += f" in {', '.join(names)}"
    if path.suffix == ".npy":
        np.save(path, array, allow_pickle=True)
        if edited and random.random() < 0.4:
            told = "header: " + _edited_header(path, random)
    elif path.suffix == ".npz":
        np.savez_compressed(path, **arrays) if random.random() < 0.5 else np.savez(path, **arrays)
    else:
        told = _write_h5(path, arrays, told, random, edited=edited)
    return told


def _edited_array(sound: np.ndarray, random: Random) -> tuple[str, Any]:
    kind = random.choice(["type", "shape", "value", "column", "order", "objects"])
    if kind == "type":
        dtype = random.choice(DTYPES)
        with np.errstate(all="ignore"):
            array = np.ones((ROWS, 3), dtype) if "," in dtype else (sound * 50).astype(dtype)
        return f"type {dtype}", array
    if kind == "shape":
        shape = random.choice(SHAPES)
        return f"shape {shape}", np.random.default_rng(1).normal(size=shape)
    if kind == "objects":
        return "objects", np.array([[_Payload()] * 3] * ROWS, dtype=object)
    array = sound.copy()
    if kind == "value":
        value = float(random.choice(HUGE))
        array[random.randrange(ROWS), random.randrange(3)] = value
        return f"value {value}", array
    if kind == "column":
        array[:, 1] = random.choice([array[:, 0], array[:, 0] - 3 * array[:, 2], np.ones(ROWS)])
        return "column that depends on others", array
    return "order of columns", np.asfortranarray(array)


def _edited_header(path: Path, random: Random) -> str:
    """Claim another shape or type in the header of an array file."""
    content = path.read_bytes()
    start = content.index(b"\n") + 1
    shape = random.choice(
        ["(60000000000, 3)", "(-60, 3)", "(60, 3000000)", "(61, 3)", "60", "(", "()"]
    )
    dtype = random.choice(["<f8", "|O", "<f99", "V8", "<M8[s]"])
    text = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}"
    if random.random() < 0.2:
        text = random.choice(["__import__('os').mkdir('MADE')", "{" * 5000, "", "{'descr': 1}"])
    header = text.encode() + b"\n"
    path.write_bytes(content[:8] + struct.pack("<H", len(header)) + header + content[start:])
    return text[:80]


def _write_h5(
    path: Path, arrays: dict[str, Any], told: str, random: Random, *, edited: bool
) -> str:
    with h5py.File(path, "w") as file:
        if edited and random.random() < 0.4:
            kind = random.choice(["claimed", "elsewhere", "nowhere", "group", "circle", "filled"])
            if kind in ("claimed", "filled"):
                file.create_dataset("x", shape=(10**12, 3), chunks=(1000, 3), dtype="f8")
            elif kind == "elsewhere":
                file["x"] = h5py.ExternalLink("/etc/passwd", "/x")
            elif kind == "nowhere":
                file["x"] = h5py.SoftLink("/nowhere")
            elif kind == "circle":
                file["x"] = h5py.SoftLink("/x")
            else:
                file.create_group("x/x/x")
            return kind
        for name, array in arrays.items():
            try:
                file[name] = array
            except TypeError:  # a type that it does not have
                file[name] = "x"
    return told
