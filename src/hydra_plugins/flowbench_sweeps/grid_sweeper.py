"""All combinations of what `-m` sweeps over: those that are missing are run, and all are told."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, open_dict

from flowbench.training.configuration import ConfigError, check
from flowbench.training.run_folder import RunFolder
from flowbench.training.run_identity import run_directory

__all__ = ["GridSweeper"]


@dataclass
class Job:
    """One combination: its overrides, and its run folder or why it can have none."""

    overrides: list[str]
    folder: RunFolder | None = None
    error: str = ""
    skipped: bool = False

    def outcome(self) -> tuple[str, str]:
        """What has become of it, in a word and a line."""
        if self.folder is None:
            return "failed", self.error
        if self.folder.finished:
            scores = self.folder.read_result()["test"]["log_likelihood"]["model_space"]
            error = scores["two_standard_errors"]
            status = "skipped (finished before)" if self.skipped else "done"
            return status, f"{scores['mean']:.4f} ± {error:.4f} nats"
        return "failed", self.folder.read_error() or "no result: killed, or stopped to be resumed"


class GridSweeper(BasicSweeper):
    """Hydra's grid, of which only missing runs are started; a table of all comes at the end.

    A job that fails neither stops nor hides the others; the exit code is 1 if any has failed.
    """

    def sweep(self, arguments: list[str]) -> Any:
        """Run what is missing of a grid.

        Args:
            arguments: overrides as on the command line.
        """
        assert self.config is not None
        assert self.hydra_context is not None
        assert self.launcher is not None
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        overrides = parser.parse_overrides([*self._parse_config(), *arguments])
        [combinations] = self.split_arguments(overrides, None)
        jobs = [self._job(combination) for combination in combinations]
        missing = [job.overrides for job in jobs if job.folder and not job.skipped]
        if missing:
            self.launcher.launch(missing, initial_job_idx=0)
        print(_table(jobs))
        if any(job.outcome()[0] == "failed" for job in jobs):
            sys.exit(1)

    def _job(self, overrides: Sequence[str]) -> Job:
        job = Job(list(overrides))
        assert self.hydra_context is not None
        loader = self.hydra_context.config_loader
        config = loader.load_sweep_config(self.config, job.overrides)  # type: ignore[arg-type]
        assert isinstance(config, DictConfig)
        with open_dict(config):
            del config["hydra"]
        try:
            check(config)
        except ConfigError as error:
            job.error = str(error).splitlines()[0]
            return job
        job.folder = RunFolder(run_directory(config))
        job.skipped = job.folder.finished and not config.overwrite
        return job


def _table(jobs: list[Job]) -> str:
    """One line per job: what became of it, what is its own, and its score or error."""
    common = set.intersection(*(set(job.overrides) for job in jobs))
    rows = []
    for job in jobs:
        status, line = job.outcome()
        own = " ".join(word for word in job.overrides if word not in common or len(jobs) == 1)
        rows.append((status, own, line))
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    return "\n".join(
        f"  {status:<{widths[0]}}  {own:<{widths[1]}}  {line}" for status, own, line in rows
    )
