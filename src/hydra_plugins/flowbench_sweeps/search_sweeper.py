"""A search: parameters are drawn from a space, at random or by Optuna's TPE sampler."""

import hashlib
import importlib.util
import json
import logging
import math
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from flowbench.config.configuration import ConfigError
from flowbench.config.limits import AtLeastOne, AtLeastZero
from flowbench.extras import how_to_install
from flowbench.run.names import STUDY, TRIAL
from hydra_plugins.flowbench_sweeps.jobs import Job, conclude, refuse_if_all_are_bad
from hydra_plugins.flowbench_sweeps.run_sweeper import RunSweeper
from hydra_plugins.flowbench_sweeps.space import ends, search_space
from hydra_plugins.flowbench_sweeps.trials import Sampler, Trials, told

__all__ = ["SearchSweeper", "trials_at_a_time"]

MOST = 256  # trials at a time, as in submitit's job arrays
POLL_SECONDS = 0.2


class SearchSweeper(RunSweeper):
    """Runs trials from a space until there are enough, then prints a table of all.

    The study is a file in the folder of the sweep, named by a hash of the space and the sampler:
    the same command continues it, also in several terminals or on several machines at once.

    Args:
        sampler: "tpe" (the tree-structured Parzen estimator), or "random".
        n_trials: number of finished or pruned trials to reach.
        seed: of the sampler.
        pruner: "median" stops runs that are below the median of the same epoch; None: no pruning.
        params: key → values, as in an override.
    """

    def __init__(
        self,
        *,
        sampler: Sampler,
        n_trials: AtLeastOne,
        seed: AtLeastZero,
        pruner: Literal["median"] | None,
        params: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(params=params)
        self.sampler: Sampler = sampler
        self.n_trials = n_trials
        self.seed = seed
        self.pruner = pruner

    def sweep(self, arguments: list[str]) -> None:
        """Search.

        Args:
            arguments: overrides as on the command line.

        Raises:
            ConfigError: the space is wrong, none of its runs is possible, or Optuna is missing.
        """
        if importlib.util.find_spec("optuna") is None:
            raise ConfigError(
                f"a search needs Optuna, which is not installed: {how_to_install('sweep')}"
            )
        parsed = self.parse(arguments)
        overrides = {override.get_key_element(): override for override in parsed}
        space = search_space(overrides.values())
        fixed = {
            key: override.get_value_element_as_str()
            for key, override in overrides.items()
            if key not in space
        }

        def job(parameters: Mapping[str, Any]) -> Job:
            words = {**fixed, **parameters}
            return self.job([f"{key}={value}" for key, value in words.items()])

        trials = Trials(
            journal=self._journal(space, [job(parameters) for parameters in ends(space)]),
            space=space,
            make_job=job,
            sampler=self.sampler,
            seed=self.seed,
            n_trials=self.n_trials,
            prunes=self.pruner is not None,
        )
        with self.running(parsed, **{STUDY: str(trials.journal.absolute())}):
            self._run(trials)
        conclude(trials.jobs(), *_best(trials.study))

    def _journal(self, space: Mapping[str, Any], jobs: list[Job]) -> Path:
        """The file of the study, named by a hash of the space and the sampler.

        Raises:
            ConfigError: none of the jobs can be run, or earlier runs would be deleted.
        """
        refuse_if_all_are_bad(jobs)
        if any(job.config.get("overwrite") for job in jobs):
            raise ConfigError(
                "overwrite=true: a search goes on with its trials; to start it over, delete its "
                "file in .studies/"
            )
        first = next(job.folder.path for job in jobs if job.folder is not None)
        identity = [*first.parts[-4:], self.sampler, self.seed, self.pruner]
        identity += [sorted(map(str, space.items()))]
        name = hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:8]
        return Path(self.config.hydra.sweep.dir, ".studies", f"{name}.journal")

    def _run(self, trials: Trials) -> None:
        """Keep as many trials running as the launcher allows, until there are enough."""
        limit = getattr(self.launcher, "at_a_time", 1)
        most = trials_at_a_time(limit, sampler=self.sampler, n_trials=self.n_trials)
        start = getattr(self.launcher, "start", self._run_here)
        alive = getattr(self.launcher, "alive", tuple)
        running: dict[Any, Any] = {}  # job → trial
        while True:
            while len(running) < most and (trial := trials.take()):
                print(f"trial {trial.number}: {told(trial)}", flush=True)
                number = [f"+hydra.job.env_set.{TRIAL}={trial.number}"] if self.pruner else []
                running[start([*trials.job(trial).overrides, *number])] = trial
            if not running and not trials.elsewhere:
                return
            ended = running.keys() - alive()
            for job in ended:
                trials.tell(running.pop(job))
            if not ended:
                time.sleep(getattr(self.launcher, "poll_seconds", POLL_SECONDS))

    def _run_here(self, overrides: list[str]) -> None:
        """Run a job with one of Hydra's launchers, which returns when the job has ended."""
        launchers = logging.getLogger("hydra._internal.core_plugins.basic_launcher")
        launchers.setLevel(logging.WARNING)  # it would repeat what our own line says
        self.launcher.launch([overrides], initial_job_idx=0)


def trials_at_a_time(limit: int | None, *, sampler: Sampler, n_trials: int) -> int:
    """The number of concurrent trials, at most the limit of the launcher, if it has one.

    TPE learns only from trials that have ended, so that it gets fewer at a time.

    Example:
        >>> trials_at_a_time(None, sampler="tpe", n_trials=50)
        13
    """
    sensible = math.ceil(n_trials / 4) if sampler == "tpe" else MOST
    return min(limit or sensible, n_trials)


def _best(study: Any) -> Iterator[str]:
    """A line about the trial with the highest validation log-likelihood, if there is one."""
    finished = sum(trial.state.name == "COMPLETE" for trial in study.trials)
    if finished:
        best = study.best_trial
        yield f"best of {finished} on validation rows: trial {best.number}, {told(best)}"
