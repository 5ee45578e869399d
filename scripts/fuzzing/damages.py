"""Damages to the files of a run: what accidents and strangers may leave in its place."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import torch
import yaml

from flowbench.stored import to_write

__all__ = ["CHECKPOINTS", "PICTURE", "SCORES", "TEXTS", "damage", "damage_bytes", "damage_tree"]

CHECKPOINTS = ("checkpoints/best.ckpt", "checkpoints/last.ckpt")
TEXTS = ("result.json", "config.yaml", "metrics.csv", "data.json", "error.json", "pruned.json")
SCORES = "test_scores.npy"
PICTURE = "figures/learning_curve.png"

DEEP: Any = []
for _ in range(300):
    DEEP = [DEEP]
HOSTILE: list[Any] = [None, True, 0, -1, 1, 2**70, 10**400, 1e308, -1e308, float("nan")]
HOSTILE += [float("inf"), "", "x", "\ud800", "a|b`c<script>\n# d", "../../..", "/dev/zero"]
HOSTILE += [[], {}, [1, 2], {"a": 1}, {"_target_": "os.mkdir", "path": "MADE"}, DEEP]
HOSTILE += ["${oc.env:HOME}", 10**7, [10**5, 10**5], "os.system", "flowbench.run.main.main"]
YAMLS = [
    "",
    "[]",
    "a: &a [*a]",
    "!!python/object/apply:os.mkdir [MADE]",
    "\t- :",
    "1",
    "a: 2020-01-01",
]
YAMLS.append("a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{chr(98 + i)}: &{chr(98 + i)} [{','.join([f'*{chr(97 + i)}'] * 9)}]\n" for i in range(9)
))  # fmt: skip


def damage(folder: Path, name: str, random: Random) -> tuple[str, bool]:
    """Damage one file of a run folder.

    Args:
        folder: of the run.
        name: of the file, relative to it.
        random: what is drawn from.

    Returns:
        What was done, and whether a digest was renewed, as only an attacker would.
    """
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.touch()
    kinds = [damage_bytes, damage_bytes, _other_file]
    if name.endswith(".json"):
        kinds += [_json] * 5
    elif name.endswith(".yaml"):
        kinds += [_yaml] * 5
    elif name.endswith(".csv"):
        kinds += [_csv] * 3
    elif name.endswith(".ckpt"):
        kinds += [_checkpoint] * 8
    told = random.choice(kinds)(path, random)
    return f"{name}: {told}", told.endswith("(signed)")


def damage_bytes(path: Path, random: Random) -> str:
    """Flip, cut, empty, zero or lengthen the bytes of a file, and tell what was done."""
    content = bytearray(path.read_bytes())
    kind = random.choice(["flipped", "cut", "emptied", "zeroed", "lengthened"])
    place = random.randrange(len(content) + 1)
    if kind == "flipped" and content:
        for _ in range(random.choice([1, 1, 10, 100])):
            content[random.randrange(len(content))] ^= 1 << random.randrange(8)
    elif kind == "zeroed":
        content[place : place + 200] = bytes(len(content[place : place + 200]))
    elif kind == "lengthened":
        content += random.randbytes(100)
    else:
        content = content[: place if kind == "cut" else 0]
    path.write_bytes(content)
    return f"bytes {kind}"


def _other_file(path: Path, random: Random) -> str:
    kind = random.choice(["missing", "folder", "pipe", "device", "outside", "circle", "large"])
    path.unlink()
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "outside":
        path.symlink_to("/etc/passwd")
    elif kind == "circle":
        path.symlink_to(path)
    elif kind == "large":
        path.touch()
        os.truncate(path, 10**11)  # sparse
    return kind


def _json(path: Path, random: Random) -> str:
    try:
        values = json.loads(path.read_text() or "{}")
    except ValueError:
        values = {}
    values, told = _edited(values, random)
    path.write_text(json.dumps(values))
    return told


def _yaml(path: Path, random: Random) -> str:
    if random.random() < 0.3:
        text = random.choice(YAMLS)
        path.write_text(text)
        return f"YAML {text[:20]!r}"
    header, _, _ = path.read_text().partition("\n")
    values, told = _edited(yaml.safe_load(path.read_text()), random)
    path.write_text(f"{header}\n{json.dumps(values)}")
    return told


def _csv(path: Path, random: Random) -> str:
    lines = [line.split(",") for line in path.read_text().splitlines()] or [["a"]]
    line = random.choice(lines)
    line[random.randrange(len(line))] = random.choice(["", "x", "1e400", "nan", '"', "a,b", "\0"])
    path.write_text("\n".join(map(",".join, lines)))
    return "a cell"


def _checkpoint(path: Path, random: Random) -> str:
    values = torch.load(path, weights_only=True)
    values.pop("digest")
    part = random.choice(["flowbench", "flowbench", "state_dict", None])
    if part is None or part not in values:
        values, told = _edited(values, random)
    else:
        values[part], told = _edited(values[part], random)
        told = f"{part}{told}"
    signed = random.random() < 0.7
    try:
        whole = to_write(values) if signed else {**values, "digest": "0" * 64}
    except Exception:  # tensors without values
        whole, signed = values, False
    if random.random() < 0.2 and isinstance(values, dict):
        whole, signed = values, True
        if isinstance(values.get("flowbench"), dict):
            values["flowbench"]["format"] = 3
    torch.save(whole, path)
    return f"{told} {'(signed)' if signed else ''}"


def _edited(values: Any, random: Random) -> tuple[Any, str]:
    """Values with one of them, at any depth, replaced or removed."""
    places = list(_places(values))
    if not places or random.random() < 0.05:
        return random.choice(HOSTILE), " the whole"
    parent, key = random.choice(places)
    if random.random() < 0.25:
        del parent[key]
        return values, f" {key} removed"
    old = parent[key]
    new = _other_tensor(old, random) if isinstance(old, torch.Tensor) else random.choice(HOSTILE)
    parent[key] = new
    return values, f" {key} = {repr(new)[:60]}"


def _other_tensor(old: torch.Tensor, random: Random) -> Any:
    changes: list[Callable[[], Any]] = [
        lambda: old[..., :1].clone() if old.ndim else old.expand(3).clone(),
        lambda: old.to(torch.complex64),
        lambda: old.to(torch.int32),
        lambda: old.to(torch.float64),
        lambda: torch.zeros(1).expand(10**6, 10**6),
        lambda: torch.zeros(3, 3).to_sparse(),
        lambda: torch.full_like(old, torch.nan) if old.is_floating_point() else old + 1,
        lambda: old.flatten(),
        lambda: torch.empty(10**6, 10**6, device="meta"),
        lambda: random.choice(HOSTILE),
    ]
    return random.choice(changes)()


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """All containers in nested values with each of their keys."""
    if isinstance(value, dict | list):
        keys = list(value) if isinstance(value, dict) else range(len(value))
        for key in keys:
            yield value, key
            yield from _places(value[key])


def damage_tree(folder: Path, random: Random) -> str:
    """Replace the whole folder by what is none."""
    kind = random.choice(["empty", "link", "name"])
    if kind == "empty":
        shutil.rmtree(folder)
        folder.mkdir()
    elif kind == "link":
        folder.rename(folder.parents[4] / "elsewhere")
        folder.symlink_to(folder.parents[4] / "elsewhere")
    else:
        folder.rename(folder.with_name("seed=zero"))
    return f"folder: {kind}"
