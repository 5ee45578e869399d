"""The jobs of a sweep: their state before and after, and the table of all."""

import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.config_loader import ConfigLoader
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

from flowbench.config.composing import problems_of_overrides
from flowbench.config.configuration import ConfigError, check, resolved
from flowbench.exits import FAILED
from flowbench.run.folder import RunFolder, RunFolderError
from flowbench.run.identity import run_directory
from flowbench.run.names import config_flags
from hydra_plugins.flowbench_sweeps.commands import compose

if TYPE_CHECKING:
    from flowbench.report import RunRecord

__all__ = ["Job", "conclude", "refuse_if_all_are_bad"]

LOST = "no result: killed, or stopped to be resumed"


@dataclass(kw_only=True)
class Job:
    """One job of a sweep.

    Attributes:
        overrides: of the job.
        command: for this job alone.
        config: composed from the overrides, plain values; empty if that is not possible.
        folder: of its run; None if the configuration is wrong.
        error: what is wrong with the configuration.
        skipped: whether the run was finished before the sweep.
        place: data, model and seed, for the table, if there is no folder.
    """

    overrides: list[str]
    command: str
    config: Mapping[str, Any]
    folder: RunFolder | None
    error: str
    skipped: bool
    place: tuple[str, str, str]

    @classmethod
    def of(cls, overrides: Sequence[str], loader: ConfigLoader, sweep: DictConfig) -> "Job":
        """The job of some overrides, composed and checked.

        Args:
            overrides: of the job.
            loader: Hydra's.
            sweep: its configuration, with its `hydra` node.
        """
        config, folder, error = {}, None, ""
        try:
            composed = compose(loader, sweep, overrides)
            config = _plain(composed)
            check(composed)
            folder = RunFolder(run_directory(composed))
        except HydraException:
            error = "\n".join(
                problems_of_overrides(
                    lambda words: compose(loader, sweep, words), overrides, sweep=False
                )
            )
        except ConfigError as problem:
            error = str(problem)
        return cls(
            overrides=list(overrides),
            command=shlex.join(["python", "train.py", *config_flags(sweep.hydra), *overrides]),
            config=config,
            folder=folder,
            error=error,
            skipped=folder is not None and folder.finished and not config["overwrite"],
            place=_place(sweep, overrides),
        )

    @property
    def running(self) -> bool:
        """Whether a process is working on it, e.g. one whose sweep was killed."""
        if self.folder is None or not self.folder.path.is_dir():
            return False
        try:
            with self.folder.lock():
                return False
        except RunFolderError:
            return True

    @property
    def missing(self) -> bool:
        """Whether it must be run."""
        return self.folder is not None and not self.skipped and not self.running

    def record(self) -> "RunRecord":
        """Its record, as the report reads it; a run that was lost has an error."""
        from flowbench.report.collect import RunRecord, read_run

        if self.folder is None:
            data, model, seed = self.place
            own = sha256(self.command.encode()).hexdigest()[:8]
            path = Path(data, model, own, f"seed={self.config.get('seed', seed)}")
            error = self.error.partition("\n")[0]
            return RunRecord(path=path, config=self.config, error=error, command=self.command)
        try:
            record = read_run(self.folder, root=self.folder.path.absolute().parents[3])
            if self.config["overwrite"] and (error := self.folder.read_error()):
                record = replace(record, result={}, error=error)  # the earlier result stands
        except RunFolderError as problem:
            record = RunRecord(
                path=self.folder.path, config={}, command=self.command, error=str(problem)
            )
        if not record.config:
            record = replace(record, config=self.config, command=self.command)
        lost = record.status == "unfinished" and not self.running
        return replace(record, error=LOST) if lost else record


def _plain(config: DictConfig) -> dict[str, Any]:
    """The configuration, resolved if possible."""
    try:
        return resolved(config)
    except ConfigError:
        plain: Any = OmegaConf.to_container(config)
        return plain


def _place(sweep: DictConfig, overrides: Sequence[str]) -> tuple[str, str, str]:
    """Data, model and seed of a job, from its overrides or the defaults of the sweep."""
    words = dict(word.split("=", 1) for word in overrides if "=" in word)
    named = {"seed": sweep.seed, **sweep.hydra.runtime.choices, **words}
    return str(named["data"]), str(named["model"]), str(named["seed"])


def refuse_if_all_are_bad(jobs: Sequence[Job]) -> None:
    """Refuse a sweep if none of its jobs can be run; otherwise bad jobs appear in its table.

    Raises:
        ConfigError: all problems, each once.
    """
    if all(job.folder is None for job in jobs):
        lines = [line for job in jobs for line in job.error.splitlines()]
        raise ConfigError("\n".join(dict.fromkeys(lines)))


def conclude(jobs: Sequence[Job], *lines: str) -> None:
    """Print the table of all jobs, then `lines`; the exit code is 1 if a result is missing."""
    from flowbench.report.text import run_table

    records = [job.record() for job in jobs]
    print(run_table(records, [_status(*pair) for pair in zip(jobs, records, strict=True)]))
    running = sum(record.status == "unfinished" for record in records)
    if running:
        lines = (*lines, f"{running} running in other processes: the same command tells later")
    print(*lines, sep="\n", end="\n" if lines else "")
    if any(record.status in ("failed", "unfinished") for record in records):
        sys.exit(FAILED)


def _status(job: Job, record: "RunRecord") -> str:
    if record.status == "unfinished":
        return "running"
    if record.status != "finished":
        return record.outcome
    return "skipped (finished before)" if job.skipped else "done"
