"""A run is a folder: its files, its lock, and when it counts as finished."""

import hashlib
import json
import math
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from flowbench.atomic_files import replacing, write_text
from flowbench.config.sentences import cause, sentence
from flowbench.run import earlier
from flowbench.run.reading import RunFolderError, read_json, read_text, read_yaml
from flowbench.run.records import Config, Data, Failure, Pruned, Result

__all__ = ["RunFolder", "RunFolderError", "run_folders"]

HEADER = "# flowbench run: "
LOCK = ".lock"


class RunFolder:
    """The files of one run; nothing is created before `lock`.

    Args:
        path: the folder, see `identity.run_directory`.

    Example:
        >>> import tempfile
        >>> folder = RunFolder(Path(tempfile.mkdtemp()) / "seed=0")
        >>> with folder.lock(), folder.recording(command="python train.py"):
        ...     folder.write_config({"seed": 0}, command="python train.py")
        ...     folder.write_result({"test": 0.1})
        >>> folder.finished, folder.read_config()
        (True, {'seed': 0})
    """

    def __init__(self, path: str | Path) -> None:
        self.path: Path = Path(path)
        self.config: Path = self.path / "config.yaml"
        self.data: Path = self.path / "data.json"
        self.metrics: Path = self.path / "metrics.csv"
        self.steps: Path = self.path / "steps.csv"
        self.labels: Path = self.path / "labels.csv"
        self.test_scores: Path = self.path / "test_scores.npy"
        self.test_weights: Path = self.path / "test_weights.npy"
        self.best: Path = self.path / "checkpoints" / "best.ckpt"
        self.last: Path = self.path / "checkpoints" / "last.ckpt"
        self.figures: Path = self.path / "figures"
        self.result: Path = self.path / "result.json"
        self.error: Path = self.path / "error.json"
        self.pruned: Path = self.path / "pruned.json"
        self.begun = False

    @property
    def finished(self) -> bool:
        """Whether the run has reached its result; the file appears whole or not at all."""
        return self.result.exists()

    def standing(self) -> str:
        """The file that the same command would resume from, with the start of its SHA-256."""
        for path in (self.result, self.last):
            if path.is_file():
                with path.open("rb") as file:
                    return f"{path.name} ({hashlib.file_digest(file, 'sha256').hexdigest()[:8]}…)"
        return "nothing to go on from"

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other processes out of the folder, which is created if necessary.

        What a killed process has set aside is put back.

        Raises:
            RunFolderError: another process uses it.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(self.path / LOCK, blocking=False):
                earlier.restore(self.path, self._entries())
                yield
        except Timeout:
            raise RunFolderError(
                f"{self.path}: another process is running this configuration and seed; wait for "
                "it, or change the seed"
            ) from None

    @contextmanager
    def recording(
        self, *, command: str, always: bool = True, overwrite: bool = False
    ) -> Iterator[None]:
        """Write `error.json` if the block fails; that of an earlier attempt is removed.

        An interruption (Ctrl-C) is not a failure: the same command resumes the run. A block that
        fails before the training has begun leaves an earlier run as it was, with its result.

        Args:
            command: the one that makes the run.
            always: keep a new folder even if training has not begun, and tell of the failure even
                beside an earlier result; otherwise a new folder is removed.
            overwrite: the earlier run stays until `begin`.
        """
        new = not self._entries()
        if not overwrite:
            self.error.unlink(missing_ok=True)
            self.pruned.unlink(missing_ok=True)
        try:
            yield
        except BaseException as error:
            if not self.begun:
                earlier.restore(self.path, self._entries())
            if isinstance(error, Exception):
                self._record(error, command, keep=always, remove=new and not self.begun)
            raise

    def _record(self, error: Exception, command: str, *, keep: bool, remove: bool) -> None:
        """Write `error.json`; nothing that goes wrong here may hide the error itself."""
        told, kind = " ".join(sentence(error).split()), type(cause(error)).__name__
        try:
            if remove and not keep:
                self._remove()
            elif keep or not self.finished:
                _write_json(self.error, {"error": told, "type": kind, "command": command})
        except OSError as problem:
            print(f"error.json is not written: {sentence(problem)}", file=sys.stderr)

    def refuse_other_files(self) -> None:
        """Refuse to overwrite what was not written by a run.

        Raises:
            RunFolderError: there are files, but no configuration of a run.
        """
        if self._entries() and not self._made_by_a_run():
            raise RunFolderError(
                f"{self.path}: overwrite=true deletes earlier runs only, and this folder has "
                "files but no config.yaml of a run; move them away"
            )

    def set_aside(self) -> None:
        """Put the earlier contents away, for `overwrite=true`, until `begin`; the lock stays."""
        earlier.set_aside(self.path, self._entries())

    def begin(self) -> None:
        """The training begins: the earlier contents are deleted."""
        self.begun: bool = True
        earlier.delete(self.path)

    def write_config(self, config: Mapping[str, Any], *, command: str) -> None:
        """Write the resolved configuration as plain values, with the command in the first line."""
        text = yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True)
        write_text(self.config, f"{HEADER}{' '.join(command.split())}\n{text}")

    def read_config(self) -> dict[str, Any]:
        """The configuration of the run; empty if the run did not get that far."""
        return read_yaml(self.config, Config) if self.config.exists() else {}

    def read_command(self) -> str:
        """The command that makes the run; empty if it is not recorded."""
        if self.config.exists():
            return read_text(self.config).partition("\n")[0].strip().removeprefix(HEADER)
        return read_json(self.error, Failure)["command"] if self.error.exists() else ""

    def record_data(self, sha256: str) -> None:
        """Record the data of the run, or compare them with those recorded earlier.

        Raises:
            RunFolderError: the data have changed since the run began.
        """
        if not self.data.exists():
            _write_json(self.data, {"sha256": sha256})
        known = read_json(self.data, Data)["sha256"]
        if known != sha256:
            raise RunFolderError(
                f"{self.path}: the data have changed since this run began (SHA-256 "
                f"{known[:12]}..., now {sha256[:12]}...); "
                "restore them, or start over with overwrite=true"
            )

    def write_result(self, result: Mapping[str, Any]) -> None:
        """Write `result.json`, which makes the run finished.

        Raises:
            RunFolderError: a number is NaN or infinite (null stands for what does not apply).
        """
        for key, value in _numbers("", result):
            if not math.isfinite(value):
                raise RunFolderError(f"{key}={value}: a result holds finite numbers only")
        _write_json(self.result, result)

    def write_test_scores(
        self, scores: NDArray[np.float64], weight: NDArray[np.float64] | None = None
    ) -> None:
        """Write the log-likelihood of every test event, in nats in data units, and its weight.

        Args:
            scores: float64 `[events]`.
            weight: float64 `[events]`; None: all the same, and nothing is written of them.
        """
        for path, values in ((self.test_scores, scores), (self.test_weights, weight)):
            if values is not None:
                with replacing(path) as part:
                    np.save(part, values)

    def read_result(self) -> dict[str, Any]:
        """The result of the run; empty unless it is finished."""
        return read_json(self.result, Result) if self.finished else {}

    def read_error(self) -> str | None:
        """The error message of the last attempt, if it failed."""
        return read_json(self.error, Failure)["error"] if self.error.exists() else None

    def write_pruned(self, *, epoch: int, command: str) -> None:
        """Mark a run that a search has given up after an epoch, counted from 0."""
        _write_json(self.pruned, {"epoch": epoch, "command": command})

    def read_pruned(self) -> int | None:
        """The epoch after which a search has given the run up, if it has."""
        return read_json(self.pruned, Pruned)["epoch"] if self.pruned.exists() else None

    def _entries(self) -> list[Path]:
        own = (LOCK, *earlier.HIDDEN)
        return [entry for entry in self.path.iterdir() if entry.name not in own]

    def _remove(self) -> None:
        """Delete the folder, and those above it that hold nothing else."""
        earlier.remove(self._entries())
        (self.path / LOCK).unlink(missing_ok=True)
        with suppress(OSError):  # one of them is not empty
            for folder in (self.path, *self.path.parents[:3]):
                folder.rmdir()

    def _made_by_a_run(self) -> bool:
        return self.config.exists() and read_text(self.config).startswith(HEADER)


def run_folders(root: str | Path) -> list[RunFolder]:
    """The runs below a folder, such as `outputs`, in the order of their paths."""
    marks = ("config.yaml", "error.json")
    found = {path.parent for mark in marks for path in Path(root).glob(f"**/seed=*/{mark}")}
    return [RunFolder(path) for path in sorted(found)]


def _numbers(key: str, value: object) -> Iterator[tuple[str, float]]:
    """The floating-point numbers inside nested values, with their full keys."""
    if isinstance(value, float):
        yield key, value
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _numbers(f"{key}.{name}".lstrip("."), inner)
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from _numbers(f"{key}[{index}]", inner)


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    write_text(path, json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False) + "\n")
