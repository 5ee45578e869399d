"""Interrupted runs: whatever happens to one, the same command then ends in the same numbers.

Signals at random moments, kills, a disk that is full or cannot be written, a second process that
runs the same command, and a rank that dies.
"""

import csv
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import torch
from pytorch_lightning.utilities import rank_zero_only

from flowbench.run import main as command
from fuzzing.attempts import Attempt, Outcome
from fuzzing.folders import contents

__all__ = ["campaign"]

SECONDS = 60  # for one run, also on a busy machine
WORDS = ["train.py", "model=maf", "data=toy", "trainer=cpu", "logger=csv", "figures=false"]
WORDS += ["model.layers=1", "model.hidden_units=[8]", "model.dropout=0.1", "data.val_rows=200"]
WORDS += ["data.train_rows=2000", "training.batch_size=20", "trainer.max_epochs=3"]
WORDS += ["save_minutes=0.0001", "+trainer.enable_progress_bar=false"]
TOGETHER = ["trainer.devices=2", "trainer.strategy=ddp"]
KEPT = ("test", "val", "best_epoch", "epochs", "parameters", "hash")
SIGNALS = [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGKILL]
ALLOWED = {
    signal.SIGTERM: {0, 75, -signal.SIGTERM},
    signal.SIGINT: {0, 75, 130},
    signal.SIGUSR1: {0, 75, -signal.SIGUSR1},
    signal.SIGKILL: {0, -signal.SIGKILL},
}


class Bad(Exception):
    """What must never happen."""


def campaign(n: int, *, seed: int = 0) -> Iterator[Outcome]:
    """Interrupt `n` runs, each by what is drawn, and complete each by the same command."""
    from flowbench.run import run  # noqa: F401  imported before the processes are forked

    with tempfile.TemporaryDirectory() as place:
        runs = Runs(Path(place))
        for number in range(n):
            random = Random(f"{seed} {number}")
            kinds: list[Callable[[Random], tuple[str, int]]]
            kinds = [runs.stopped] * 12 + [runs.stopped_twice] * 3 + [runs.two_writers] * 2
            kinds += [runs.full_disk, runs.full_disk, runs.read_only] * _may_mount()
            kinds += [runs.dead_rank] if random.random() < 0.6 else []
            started, bad, told, code = time.monotonic(), "", "", 0
            kind = random.choice(kinds)
            together = kind == runs.dead_rank
            try:
                if together not in runs.numbers:
                    with runs.fresh():
                        runs.complete(together=together)
                with runs.fresh():
                    told, code = kind(random)
                    runs.complete(together=together)
            except Bad as error:
                bad = str(error)
            yield Outcome(
                command=f"{number}: {kind.__name__}", code=code, told=told, bad=bad,
                seconds=time.monotonic() - started,
            )  # fmt: skip


class Runs:
    """A tree with one finished run, in which another is begun, interrupted and completed."""

    def __init__(self, place: Path) -> None:
        self.place, self.outputs = place, place / "outputs"
        self.numbers: dict[bool, Any] = {}
        self.longest = 1.0  # seconds of an undisturbed run
        with self.fresh():
            started = time.monotonic()
            self.complete(together=False)
            self.longest = time.monotonic() - started
            shutil.copytree(self.outputs, place / "other")
        [folder] = (place / "other").glob("*/*/*/seed=0")
        folder.rename(folder.with_name("seed=1"))

    @contextmanager
    def fresh(self) -> Iterator[None]:
        """Only the other run is there, and it is still the same in the end."""
        self.outputs.mkdir()
        try:
            if (self.place / "other").exists():
                shutil.copytree(self.place / "other", self.outputs, dirs_exist_ok=True)
            before = {path: known for path, known in self._contents().items() if "seed=1" in path}
            yield
            if not before.items() <= self._contents().items():
                raise Bad("an earlier run has been touched")
        finally:
            if os.path.ismount(self.outputs):
                subprocess.run(["umount", "--lazy", self.outputs], check=True)
            shutil.rmtree(self.outputs)

    def begin(self, log: str, *, rank: int | None = None, port: int = 0) -> Attempt:
        """Begin the run; with a rank, as one of two processes."""
        (self.place / log).unlink(missing_ok=True)
        environment = {} if rank is None else {
            "TORCHELASTIC_RUN_ID": "1", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2",
            "RANK": str(rank), "LOCAL_RANK": str(rank), "GROUP_RANK": "0",
            "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port),
        }  # fmt: skip
        words = [*WORDS, *([] if rank is None else TOGETHER)]
        main = partial(_main, rank or 0)
        return Attempt(main, words, self.place, log=log, seconds=SECONDS, environment=environment)

    def begin_both(self) -> list[Attempt]:
        """Begin the run by two processes."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        return [self.begin(f"told{rank}", rank=rank, port=port) for rank in (0, 1)]

    def complete(self, *, together: bool) -> None:
        """The same command, which ends in the numbers of an undisturbed run.

        Raises:
            Bad: it does not, or leaves a part of a file.
        """
        begun = self.begin_both() if together else [self.begin("again")]
        for one in [attempt.end() for attempt in begun]:
            quiet = together and one.bad == "nothing was told"
            _refuse((one.bad and not quiet) or one.code != 0, "the same command", one)
        numbers = self._numbers()
        if numbers != self.numbers.setdefault(together, numbers):
            raise Bad(f"other numbers: {numbers}, expected {self.numbers[together]}")
        if parts := [path for path in self._contents() if ".part" in path or "rows-" in path]:
            raise Bad(f"left behind: {', '.join(parts)}")

    def stopped(self, random: Random) -> tuple[str, int]:
        """A signal at any moment."""
        signum, begun = random.choice(SIGNALS), self.begin("told")
        time.sleep(random.random() * self.longest)
        if os.waitid(os.P_PID, begun.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            begun.send(signum)
        ended = begun.end()
        wrong = ended.bad or ended.code not in ALLOWED[signum]
        _refuse(wrong, f"{signum.name} after {ended.seconds:.2f} s", ended)
        self._refuse_damage()
        return f"{signum.name}: {ended.told}", ended.code

    def stopped_twice(self, random: Random) -> tuple[str, int]:
        """A signal, and then another to the same command."""
        told, _ = self.stopped(random)
        again, code = self.stopped(random)
        return f"{told}\n{again}", code

    def two_writers(self, random: Random) -> tuple[str, int]:
        """The same command twice at once; perhaps the first is killed."""
        first = self.begin("told")
        time.sleep(random.random() * self.longest / 2)
        second, killed = self.begin("told2"), random.random() < 0.3
        if killed:
            time.sleep(random.random() * 0.1)
            first.send(signal.SIGKILL)
        ended = [first.end(), second.end()]
        for one in ended:
            refused = one.code == 2 and "another process is running" in one.told
            wrong = one.bad or not (one.code in (0, -signal.SIGKILL) or refused)
            _refuse(wrong, "one of two writers", one)
        _refuse(not killed and 0 not in [one.code for one in ended], "both writers", ended[1])
        return "".join(one.told for one in ended), ended[1].code

    def full_disk(self, random: Random) -> tuple[str, int]:
        """A disk that is filled by the run."""
        size = random.choice([4, 16, 64, 100, 150, 200, 300])
        with self._mounted(f"size={size}k"):
            ended = self.begin("told").end()
            full = ended.code == 1 and ("disk is full" in ended.told or "No space" in ended.told)
            _refuse(ended.bad or not (full or ended.code == 0), f"a disk of {size} kB", ended)
            self._refuse_damage()
        return ended.told, ended.code

    def read_only(self, random: Random) -> tuple[str, int]:
        """A disk that cannot be written."""
        with self._mounted("ro"):
            ended = self.begin("told").end()
            wrong = ended.bad or ended.code != 2 or "Read-only" not in ended.told
            _refuse(wrong, "a read-only disk", ended)
        return ended.told, ended.code

    def dead_rank(self, random: Random) -> tuple[str, int]:
        """One of two processes is killed."""
        both = self.begin_both()
        time.sleep(random.random() * self.longest * 1.5)
        victim = random.choice(both)
        victim.send(signal.SIGKILL)
        for one in [attempt.end() for attempt in both]:
            told = one.code == 1 and "has died" in one.told
            early = one.code == 1 and "rank" in one.told
            wrong = not (told or early or one.code in (0, -signal.SIGKILL))
            _refuse(wrong, "the rank that is left", one)
        self._refuse_damage()
        return one.told, one.code

    @contextmanager
    def _mounted(self, options: str) -> Iterator[None]:
        """The outputs are on a small disk, of which the same command finds a larger one."""
        mount = ["mount", "-t", "tmpfs", "-o"]
        subprocess.run([*mount, "size=20m", "tmpfs", self.outputs], check=True)
        shutil.copytree(self.place / "other", self.outputs, dirs_exist_ok=True)
        used = shutil.disk_usage(self.outputs).used
        if options.startswith("size="):
            options = f"size={used // 1024 + int(options[5:-1])}k"
        subprocess.run(["mount", "-o", f"remount,{options}", self.outputs], check=True)
        yield
        subprocess.run(["mount", "-o", "remount,rw,size=20m", self.outputs], check=True)

    def _contents(self) -> dict[str, Any]:
        return contents(self.outputs)

    def _numbers(self) -> Any:
        """All that a run reports, less what the clock says."""
        [path] = self.outputs.glob("*/*/*/seed=0/result.json")
        result = json.loads(path.read_text())
        with (path.parent / "metrics.csv").open() as file:
            rows = [
                {k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)
            ]
        return {key: result[key] for key in KEPT}, rows

    def _refuse_damage(self) -> None:
        """Every file that is there is whole."""
        for path in self.outputs.glob("*/*/*/seed=0/checkpoints/[!.]*.ckpt"):
            torch.load(path, weights_only=True)
        for path in self.outputs.glob("*/*/*/seed=0/*.json"):
            json.loads(path.read_text())


def _main(rank: int) -> None:
    rank_zero_only.rank = rank  # which Lightning reads when it is imported
    command.main()


def _refuse(wrong: object, told: str, outcome: Outcome) -> None:
    if wrong:
        raise Bad(
            f"{told}: exit code {outcome.code} ({outcome.bad}), told: {outcome.told[-3000:]}"
        )


def _may_mount() -> bool:
    return os.geteuid() == 0 and shutil.which("mount") is not None
