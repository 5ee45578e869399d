"""Records of all runs in a tree of run folders, whatever became of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from flowbench.config.later_keys import with_later_keys
from flowbench.run.folder import RunFolder, run_folders

__all__ = ["ReportError", "RunRecord", "collect", "read_run"]

FIGURES = ("samples", "test_rows", "density", "pairs", "base_space", "learning_curve")
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
        figures: name → PNG file.
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
    figures: Mapping[str, Path] = field(default_factory=dict)

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
    """All runs below a folder, in the order of their paths.

    Args:
        root: e.g. `outputs`.

    Raises:
        ReportError: there is no run.
    """
    folders = run_folders(root)
    if not folders:
        raise ReportError(
            f"{root}: no run folders there; expected <data>/<model>/<hash>/seed=<n>/config.yaml"
        )
    return [read_run(folder, root=Path(root).absolute()) for folder in folders]


def read_run(folder: RunFolder, *, root: Path) -> RunRecord:
    """What lies in one run folder.

    Args:
        folder: of the run, which need not exist yet.
        root: of the tree, absolute.
    """
    return RunRecord(
        path=folder.path.absolute().relative_to(root.parent),
        config=with_later_keys(folder.read_config()),
        command=folder.read_command(),
        result=folder.read_result(),
        error=folder.read_error(),
        pruned=folder.read_pruned(),
        history=_rows(folder.metrics),
        steps=_rows(folder.steps),
        labels=_rows(folder.labels),
        figures={path.stem: path for path in sorted(folder.figures.glob("*.png"), key=_place)},
    )


def _rows(path: Path) -> pd.DataFrame:
    return pd.read_csv(path) if path.is_file() else pd.DataFrame()


def _place(figure: Path) -> tuple[int, str]:
    name = figure.stem
    return (FIGURES.index(name) if name in FIGURES else len(FIGURES)), name
