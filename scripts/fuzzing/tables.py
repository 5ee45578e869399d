"""Damaged data files: each is read into rows and a density, or refused in one sentence.

Nothing in them is executed, no data file is touched, and time and memory are bounded.
"""

import hashlib
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from random import Random

import torch

from flowbench.data import DataError, DataModule, ImageFolder, Mnist, SoundFolder, Table
from flowbench.exits import explained
from flowbench.flows import Gaussian
from fuzzing.attempts import Outcome, attempt
from fuzzing.data_files import FORMATS, write

__all__ = ["campaign"]

SECONDS = 30
MEMORY = 1 << 30  # bytes beyond those of this process
LONGEST = 6000  # characters told, warnings included
ALLOCATED = ("Unable to allocate", "MemoryError", "out of memory", "malloc")
MODULES: dict[str, Callable[[Path, Path], DataModule]] = {
    "idx": lambda path, cache: Mnist(path=path, cache_dir=cache),
    "pictures": lambda path, cache: ImageFolder(path=path, cache_dir=cache),
    "sound": lambda path, cache: SoundFolder(path=path, cache_dir=cache),
}


def campaign(n: int, *, seed: int = 0) -> Iterator[Outcome]:
    """Write `n` data files in all formats, most of them damaged, and read each.

    Args:
        n: number of files, or folders of them.
        seed: of what is drawn.
    """
    formats = list(FORMATS)
    sound: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as place:
        for number in range(-len(formats), n):  # those as they should be come first
            random = Random(f"{seed} {number}")
            folder = Path(place) / f"case{number}"
            folder.mkdir()
            name = formats[number % len(formats)] if number < 0 else random.choice(formats)
            told, path, same = write(folder, name, random, damaged=number >= 0)
            outcome = _read(folder, path, name, told)
            if number < 0:
                sound[name] = outcome.told.splitlines()[-1]
                outcome = replace(outcome, bad=outcome.bad or "refused" * bool(outcome.code))
            elif same and not outcome.bad and sound[name] not in outcome.told:
                outcome = replace(outcome, bad=f"expected {sound[name]}")
            if number >= 0 or outcome.bad:
                yield outcome


def _read(folder: Path, path: Path, name: str, told: str) -> Outcome:
    before = _contents(folder)
    words = ["read", name, told]
    module = MODULES.get(FORMATS[name], lambda path, cache: Table(path=path, cache_dir=cache))
    outcome = attempt(
        lambda: _density(module, path, folder / "cache"), words, folder,
        seconds=SECONDS, memory=_data_bytes() + MEMORY,
    )  # fmt: skip
    if outcome.bad:
        return outcome
    after = _contents(folder)
    if changed := {path for path in before | after if before.get(path) != after.get(path)}:
        return replace(outcome, bad=f"has made or changed {', '.join(sorted(changed))}")
    if len(outcome.told) > LONGEST:
        return replace(outcome, bad=f"{len(outcome.told):,} characters were told")
    if outcome.code and any(word in outcome.told for word in ALLOCATED):
        return replace(outcome, bad="took more memory than the file has values")
    return outcome


def _density(module: Callable[[Path, Path], DataModule], path: Path, cache: Path) -> None:
    """Read the file, and score its test rows by a closed-form Gaussian if they are enough."""
    warnings.simplefilter("ignore")
    with explained(DataError, OSError):
        data = module(path, cache)
        data.prepare_data()
        data.setup()
    rows, test = data.rows["train"].x.double(), data.rows["test"]
    score = test.log_det.mean() + test.x.double().sum()
    if len(rows) > 2 * data.features:
        gaussian = Gaussian(data.features).double()
        with explained(ValueError):
            gaussian.initialize(rows)
        score = (gaussian.log_prob(test.x.double()) + test.log_det).mean()
    if not torch.isfinite(score):
        raise ArithmeticError(f"the density is {score.item()}")
    print(f"{data.features} features, {len(rows)} rows, score {score.item():.6f}")


def _contents(folder: Path) -> dict[str, str]:
    """File → its digest, without the cache and what was printed."""
    own = (folder / "cache", folder / "told")
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        if path.is_file()
        else "folder"
        for path in folder.rglob("*")
        if not any(path == one or one in path.parents for one in own)
    }


def _data_bytes() -> int:
    """What counts towards the limit of memory in this process already."""
    lines = Path(f"/proc/{os.getpid()}/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmData"))
