"""Damaged run folders and checkpoints: each command ends in the right result or in one sentence.

Nothing in them is executed, no file of a run is touched, and time is bounded.
"""

import contextlib
import hashlib
import io
import shutil
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch
from hydra import compose, initialize_config_dir

import flowbench
from flowbench.commands import evaluate, sample, score
from flowbench.config.configuration import check
from flowbench.config.files import complete_files
from flowbench.report.write import write_report
from flowbench.run.config_directory import config_directory
from flowbench.run.identity import run_directory
from flowbench.run.run import run as train
from fuzzing.attempts import Outcome
from fuzzing.damages import CHECKPOINTS, PICTURE, SCORES, TEXTS, damage, damage_tree

__all__ = ["campaign"]

SECONDS = 20  # for one command on one folder
LONGEST = 2000  # characters of a sentence
SMALL = ["data=table", "model=maf", "model.layers=1", "model.hidden_units=[4]", "trainer=cpu"]
SMALL += ["training.batch_size=50", "trainer.max_epochs=2", "logger=none"]
SMALL += ["+trainer.enable_progress_bar=false"]


class Bad(Exception):
    """What must never happen."""


def campaign(n: int, *, seed: int) -> Iterator[Outcome]:
    """Damage a run n times, and try on each copy all commands that read it."""
    with tempfile.TemporaryDirectory() as place, contextlib.chdir(place):
        sound = Sound(Path(place))
        for number in range(n):
            started, bad = time.monotonic(), ""
            sound.damage(Random(f"{seed} {number}"))
            endings: dict[str, str] = {}
            try:
                for command, ending in sound.tried():
                    endings[command] = ending
            except Bad as error:
                bad = str(error)
            yield Outcome(
                command=f"{number}: {sound.told}",
                code=int("sentence" in endings.values()),
                seconds=time.monotonic() - started,
                told=", ".join(f"{command}: {ending}" for command, ending in endings.items()),
                bad=bad,
            )


class Sound:
    """A run in a tree, beside another one, from which damaged copies are made."""

    def __init__(self, place: Path) -> None:
        self.place, self.origin, self.copy = place, place / "origin", place / "copy"
        self.rows = place / "rows.npy"
        np.save(self.rows, np.random.default_rng(0).normal(size=(300, 2)))
        complete_files()
        with quietly():
            for seed in (0, 1):
                self.folder = self.train(self.origin, f"seed={seed}")
        self.inside = self.folder.relative_to(self.origin)
        self.density = flowbench.load(self.folder).log_prob(torch.zeros(1, 2))
        self.names = [*TEXTS, PICTURE, SCORES, *CHECKPOINTS * 5]

    def train(self, tree: Path, *overrides: str) -> Path:
        """The same command, in this process."""
        places = [f"paths.output={tree}", f"paths.cache={self.place / 'cache'}"]
        words = [*SMALL, *places, f"data.path={self.rows}", *overrides]
        with initialize_config_dir(str(config_directory()), version_base="1.3"):
            config = compose("train", words)
        path = run_directory(config)
        train(check(config), path)
        return path

    def damage(self, random: Random) -> None:
        """Make a copy, and damage one of its files."""
        for path in (self.copy, self.place / "elsewhere"):
            shutil.rmtree(path, ignore_errors=True)
        shutil.copytree(self.origin, self.copy)
        self.name, self.signed = random.choice(self.names), False
        self.again = random.random() < 0.5
        if random.random() < 0.05:
            self.told = damage_tree(self.copy / self.inside, random)
        else:
            self.told, self.signed = damage(self.copy / self.inside, self.name, random)

    def tried(self) -> Iterator[tuple[str, str]]:
        """Try what reads the damaged copy: (command, ending).

        Raises:
            Bad: something happened that must not.
        """
        folder, out, cache = self.copy / self.inside, self.place / "out", self.place / "cache"
        before = contents(self.copy)
        commands: dict[str, Callable[[], Any]]
        commands = {"report": lambda: write_report(self.copy, out=out)}
        if self.name == CHECKPOINTS[0] or self.told.startswith("folder"):
            commands = {
                "load": lambda: self.load(folder / self.name),
                "score": lambda: score.main(words(folder, out, "s.csv", data=self.rows)),
                "sample": lambda: sample.main(words(folder, out, "x.csv")),
                "evaluate": lambda: evaluate.main([str(folder), f"--cache={cache}"]),
            }
        for command, function in commands.items():
            yield command, ending_of(function, command)
            if contents(self.copy) != before:
                raise Bad(f"{command} has changed a file of the run")
            self.refuse_others(command)
        if self.name in ("result.json", "data.json", CHECKPOINTS[1]) and self.again:
            if self.name != "result.json":
                (folder / "result.json").unlink(missing_ok=True)
            yield "train", ending_of(lambda: self.train(self.copy, "seed=1"), "train")
            self.refuse_others("train")

    def load(self, path: Path) -> None:
        """The density, which is the right one unless an attacker has signed another."""
        found = flowbench.load(path).log_prob(torch.zeros(1, 2))
        if not self.signed and not torch.equal(found, self.density):
            raise Bad("loads as another density")

    def refuse_others(self, command: str) -> None:
        """Nothing but what is known may appear."""
        known = {"origin", "copy", "rows.npy", "cache", "out", "elsewhere"}
        if others := {path.name for path in self.place.iterdir()} - known:
            raise Bad(f"{command} has made {', '.join(others)}")


def words(folder: Path, out: Path, name: str, *, data: Path | None = None) -> list[str]:
    return [str(folder), f"--out={out / name}", *([f"--data={data}"] if data else ["-n", "3"])]


def ending_of(function: Callable[[], Any], told: str) -> str:
    """Whether a command ended in a result or in a sentence, in time."""
    start, ending = time.monotonic(), "result"
    with quietly() as printed:
        try:
            function()
        except SystemExit as stop:
            if stop.code not in (None, 0):
                ending = "sentence"
                refuse_others_than_sentences(
                    stop.code if isinstance(stop.code, str) else printed.getvalue(), told
                )
        except Bad:
            raise
        except Exception as error:
            if not type(error).__module__.startswith("flowbench.") and not isinstance(
                error, OSError
            ):
                raise Bad(f"{told}: {traceback.format_exc()[-1500:]}") from error
            ending = "sentence"
            refuse_others_than_sentences(str(error), told)
    if (took := time.monotonic() - start) > SECONDS:
        raise Bad(f"{told}: took {took:.0f} s")
    return ending


def refuse_others_than_sentences(text: str, told: str) -> None:
    if not text.strip() or "Traceback" in text or len(text) > LONGEST:
        raise Bad(f"{told}: said {text[:500]!r}")


def contents(tree: Path) -> dict[str, Any]:
    """Path → what is there, links not followed."""
    found: dict[str, Any] = {}
    for path in sorted(tree.rglob("*")):
        state = path.lstat()
        small = path.is_file() and not path.is_symlink() and state.st_size < 10**8
        digest = hashlib.sha256(path.read_bytes()).hexdigest() if small else ""
        found[str(path)] = (state.st_mode, state.st_size if small else 0, digest)
    return found


@contextlib.contextmanager
def quietly() -> Iterator[io.StringIO]:
    printed = io.StringIO()
    with (
        warnings.catch_warnings(action="ignore"),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(printed),
    ):
        yield printed
