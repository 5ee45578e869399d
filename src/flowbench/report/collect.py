"""Records of all runs in a tree of run folders, whatever became of them."""

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from flowbench.config.later_keys import with_later_keys
from flowbench.metrics import VALIDATION
from flowbench.run.deviations import CELLS, changes_result
from flowbench.run.folder import RunFolder, run_folders
from flowbench.run.reading import RunFolderError, read_picture, read_table
from flowbench.schema import is_text

__all__ = ["ReportError", "RunRecord", "collect", "read_run", "survey"]

FIGURES = (
    "samples", "test_rows", "completions", "neighbours", "density", "pairs", "base_space",
    "uniforms", "learning_curve",
)  # fmt: skip
Status = Literal["finished", "failed", "pruned", "unfinished"]


class ReportError(Exception):
    """No report can be made of a tree."""


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """What one run has left behind.

    Attributes:
        path: of the folder, relative to the tree.
        config: the configuration, plain values; empty where the run never got so far.
        command: what starts the run again.
        result: the contents of `result.json`; empty unless the run is finished.
        error: why it failed, else None.
        pruned: the epoch after which a search gave it up, else None.
        history: the rows of `metrics.csv`.
        steps: those of `steps.csv`, log-likelihoods by optimiser step, where they were asked for.
        labels: those of `labels.csv`, log-likelihoods of test clips of each label by epoch.
        test_scores: file of the log-likelihood of every test event, if there is one.
        test_weights: file of how much each of them counts, if there is one.
        figures: name → PNG file.
        left_out: name → why the file of that name is not among them.
    """

    path: Path
    config: Mapping[str, Any]
    command: str
    result: Mapping[str, Any] = field(default_factory=dict)
    error: str | None = None
    pruned: int | None = None
    history: pd.DataFrame = field(default_factory=pd.DataFrame)
    steps: pd.DataFrame = field(default_factory=pd.DataFrame)
    labels: pd.DataFrame = field(default_factory=pd.DataFrame)
    test_scores: Path | None = None
    test_weights: Path | None = None
    figures: Mapping[str, Path] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)

    @property
    def status(self) -> Status:
        """Whether there is a result, an error, the mark of a search, or nothing (yet)."""
        if self.result:
            return "finished"
        if self.error:
            return "failed"
        return "unfinished" if self.pruned is None else "pruned"

    @property
    def outcome(self) -> str:
        """The status, and how far a run came that was given up."""
        return self.status + (f" at epoch {self.pruned}" if self.status == "pruned" else "")

    @property
    def data(self) -> str:
        """Name of the data set."""
        return self._named("data", level=-4)

    @property
    def model(self) -> str:
        """Name of the model."""
        return self._named("model", level=-3)

    @property
    def deviations(self) -> list[str]:
        """What the run does otherwise than its protocol; as its command says unless it is told."""
        told = self.result.get("deviations")
        return _beside_protocol(self.command) if told is None else list(told)

    @property
    def measure(self) -> str:
        """What the density is one with respect to: volume, or points that have probabilities."""
        points = self.config.get("data", {}).get("binarize")
        return self.result.get("measure") or ("lattice" if points else "lebesgue")

    @property
    def hash(self) -> str:
        """Of all that changes the result, the seed apart."""
        return self.path.parent.name

    @property
    def seed(self) -> int:
        """Of the run."""
        return int(self.config.get("seed", self.path.name.removeprefix("seed=")))

    def _named(self, section: str, *, level: int) -> str:
        return self.config.get(section, {}).get("name") or self.path.parts[level]


def collect(root: str | Path) -> list[RunRecord]:
    """All readable runs below a folder, in the order of their paths.

    Args:
        root: e.g. `outputs`.

    Raises:
        ReportError: there is no run, or none that is readable.
    """
    return survey(root)[0]


def survey(root: str | Path) -> tuple[list[RunRecord], dict[Path, str]]:
    """All runs below a folder: the records of those that are readable, and why others are not.

    Args:
        root: e.g. `outputs`.

    Returns:
        The records, and folder → reason, both in the order of their paths.

    Raises:
        ReportError: there is no run, or none that is readable.
    """
    folders, tree = run_folders(root), Path(root).absolute()
    if not folders:
        raise ReportError(
            f"{root}: no run folders there; expected <data>/<model>/<hash>/seed=<n>/config.yaml"
        )
    records, unreadable = [], {}
    for folder in folders:
        try:
            records.append(read_run(folder, root=tree))
        except RunFolderError as error:
            place = folder.path.absolute().relative_to(tree.parent)
            unreadable[Path(_encodable(place))] = _encodable(error)
    if not records:
        raise ReportError("\n".join(unreadable.values()))
    return records, unreadable


def read_run(folder: RunFolder, *, root: Path) -> RunRecord:
    """What lies in one run folder.

    Args:
        folder: of the run, which need not exist yet.
        root: of the tree, absolute.

    Raises:
        RunFolderError: a file of it is not what it should be, or it lies outside of the tree.
    """
    if not folder.path.resolve().is_relative_to(root.resolve()):
        raise RunFolderError(f"{folder.path}: a link that leads out of {root}")
    if not is_text(str(folder.path)):
        raise RunFolderError(f"{str(folder.path)!a}: its name is not text in UTF-8")
    if not re.fullmatch(r"seed=\d{1,19}", folder.path.name):
        raise RunFolderError(f"{folder.path}: expected a folder seed=<n>")
    result = folder.read_result()
    figures, left_out = _pictures(folder)
    return RunRecord(
        path=folder.path.absolute().relative_to(root.parent),
        config=with_later_keys(folder.read_config()),
        command=folder.read_command(),
        result=result,
        error=None if result else folder.read_error(),
        pruned=folder.read_pruned(),
        history=_rows(folder.metrics, "epoch", VALIDATION),
        steps=_rows(folder.steps, "step", "test", "base/test"),
        labels=_rows(folder.labels, "epoch"),
        test_scores=folder.test_scores if folder.test_scores.is_file() else None,
        test_weights=folder.test_weights if folder.test_weights.is_file() else None,
        figures=figures,
        left_out=left_out,
    )


def _beside_protocol(command: str) -> list[str]:
    """The options that a command with a protocol sets beside it.

    Those that choose a row of its table, or where it is computed, are none.
    """
    try:
        words = shlex.split(command)
    except ValueError:  # it is not one that a run has recorded
        return []
    if not any(word.lstrip("+").startswith("protocol=") for word in words):
        return []
    keys = [word.lstrip("+~").partition("=")[0] for word in words]
    return [word for word, key in zip(words, keys, strict=True) if _counts(key)]


def _counts(key: str) -> bool:
    return changes_result(key) and key not in {"model", "data", *CELLS}


def _encodable(value: object) -> str:
    return str(value).encode(errors="backslashreplace").decode()


def _rows(path: Path, *columns: str) -> pd.DataFrame:
    return read_table(path, *columns) if path.exists() else pd.DataFrame()


def _pictures(folder: RunFolder) -> tuple[dict[str, Path], dict[str, str]]:
    """The pictures of a run, and why others are left out."""
    figures, left_out = {}, {}
    for path in sorted(folder.figures.glob("*.png"), key=_place):
        try:
            read_picture(path)
            figures[path.stem] = path
        except RunFolderError as error:
            left_out[path.stem] = str(error).removeprefix(f"{path}: ")
    return figures, left_out


def _place(figure: Path) -> tuple[int, str]:
    name = figure.stem
    return (FIGURES.index(name) if name in FIGURES else len(FIGURES)), name
