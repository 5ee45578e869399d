"""The jobs of a sweep: what was there before, what has become of each, and the table of all."""

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from flowbench.training.configuration import ConfigError, check, resolved
from flowbench.training.run_folder import RunFolder
from flowbench.training.run_identity import run_directory

if TYPE_CHECKING:
    from flowbench.report import RunRecord

__all__ = ["Job", "conclude"]

LOST = "no result: killed, or stopped to be resumed"


@dataclass(kw_only=True)
class Job:
    """One job of a sweep.

    Attributes:
        overrides: that make it.
        config: composed of them.
        folder: of its run; None where it can have none.
        error: why it can have none.
        skipped: whether its result was there before.
    """

    overrides: list[str]
    config: DictConfig
    folder: RunFolder | None
    error: str
    skipped: bool

    @classmethod
    def of(cls, overrides: Sequence[str], config: DictConfig) -> "Job":
        """The job of a configuration, which is checked."""
        folder, error = None, ""
        try:
            check(config)
            folder = RunFolder(run_directory(config))
        except ConfigError as problem:
            error = str(problem).splitlines()[0]
        return cls(
            overrides=list(overrides),
            config=config,
            folder=folder,
            error=error,
            skipped=folder is not None and folder.finished and not config.overwrite,
        )

    def record(self) -> "RunRecord":
        """What it has left behind, as the report reads it; without a result there is an error."""
        from flowbench.report.collect import RunRecord, read_run

        command = shlex.join(["python", "train.py", *self.overrides])
        if self.folder is None:
            plain = _plain(self.config)
            own = sha256(command.encode()).hexdigest()[:8]
            path = Path("no", "folder", own, f"seed={plain['seed']}")
            return RunRecord(path=path, config=plain, error=self.error, command=command)
        record = read_run(self.folder, root=self.folder.path.absolute().parents[3])
        if not record.config:
            record = replace(record, config=resolved(self.config), command=command)
        return replace(record, error=LOST) if record.status == "unfinished" else record


def _plain(config: DictConfig) -> dict[str, Any]:
    """The configuration as far as it can be told."""
    try:
        return resolved(config)
    except ConfigError:
        plain: Any = OmegaConf.to_container(config)
        return plain


def conclude(jobs: Sequence[Job], *lines: str) -> None:
    """Print the report's table over all jobs, and lines; the exit code is 1 if any has failed."""
    from flowbench.report.text import run_table

    records = [job.record() for job in jobs]
    print(run_table(records, [_status(*pair) for pair in zip(jobs, records, strict=True)]))
    print(*lines, sep="\n", end="\n" if lines else "")
    if any(record.status == "failed" for record in records):
        sys.exit(1)


def _status(job: Job, record: "RunRecord") -> str:
    if record.status != "finished":
        return record.outcome
    return "skipped (finished before)" if job.skipped else "done"
