"""The trials of a study, shared by all processes and machines that run it."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout

from flowbench.run.study import open_study
from hydra_plugins.flowbench_sweeps.commands import slug
from hydra_plugins.flowbench_sweeps.jobs import Job

__all__ = ["Sampler", "Trials", "told"]

Sampler = Literal["tpe", "random"]


@dataclass(kw_only=True)
class Trials:
    """Trials to run and report, until there are enough.

    A trial belongs to the process that holds the lock of its parameters. One whose process was
    killed is taken up before Optuna is asked for a new one. Suggestions depend on the seed and
    the number of the trial, not on the process that asks.

    Attributes:
        journal: file of the study; locks lie beside it.
        space: key → Optuna's distribution.
        make_job: from parameters to their job.
        sampler: "tpe" or "random".
        seed: of the sampler.
        n_trials: number of trials to reach; those that failed before this sweep do not count.
        prunes: whether pruned runs count as ended.
        elsewhere: whether `take` has met trials that other processes hold.
    """

    journal: Path
    space: dict[str, Any]
    make_job: Callable[[Mapping[str, Any]], Job]
    sampler: Sampler
    seed: int
    n_trials: int
    prunes: bool
    elsewhere: bool = False
    composed: dict[str, Job] = field(default_factory=dict)
    taken: dict[int, FileLock] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.journal.parent.mkdir(parents=True, exist_ok=True)
        with self._alone():
            self.study = open_study(self.journal)
            self.first = len(self._all())

    def take(self) -> Any | None:
        """Take an Optuna trial, locked until `tell`; None if there is none at present."""
        self.elsewhere = False
        with self._alone():
            for trial in self._open():
                if self._tell(trial):
                    continue
                if lock := self._lock(self.job(trial)):
                    self.taken[trial.number] = lock
                    return trial
                self.elsewhere = True
        return None

    def tell(self, trial: Any) -> None:
        """Report the outcome of a trial to Optuna, and release it.

        A trial without an outcome was killed or interrupted, and stays open.
        """
        with self._alone():
            self.taken[trial.number].release()
            self._tell(trial)

    def job(self, trial: Any) -> Job:
        """The job of a trial; trials of the same parameters share it."""
        if told(trial) not in self.composed:
            self.composed[told(trial)] = self.make_job(trial.params)
        return self.composed[told(trial)]

    def jobs(self) -> list[Job]:
        """The jobs of all trials that count, in order, each once."""
        counted = list(filter(self._counts, self._all()))
        for trial in counted:
            if told(trial) not in self.composed:  # another process has run it
                self.job(trial).skipped = trial.number < self.first
        return list({told(trial): self.job(trial) for trial in counted}.values())

    def _open(self) -> Iterator[Any]:
        """Trials begun by others, then new ones up to `n_trials`."""
        import numpy as np
        from optuna.samplers import RandomSampler, TPESampler

        for trial in self._all():
            if trial.state.name == "RUNNING" and trial.number not in self.taken:
                yield trial
        sampler = RandomSampler if self.sampler == "random" else TPESampler
        while sum(map(self._counts, trials := self._all())) < self.n_trials:
            [seed] = np.random.SeedSequence([self.seed, len(trials)]).generate_state(1)
            self.study.sampler = sampler(seed=int(seed))
            yield self.study.ask(self.space)

    def _counts(self, trial: Any) -> bool:
        """Whether a trial counts: all but those that failed in earlier sweeps."""
        here = trial.number >= self.first or trial.number in self.taken
        return trial.state.name != "FAIL" or here

    def _tell(self, trial: Any) -> bool:
        """Report the outcome in the folder of a run to Optuna, if the run has ended."""
        from optuna.trial import TrialState

        value, state, folder = None, None, self.job(trial).folder
        if folder is None:
            state = TrialState.FAIL
        elif folder.finished:
            value = folder.read_result()["val"]["log_likelihood"]["model_space"]["mean"]
        elif self.prunes and folder.pruned.is_file():
            state = TrialState.PRUNED
        elif folder.error.is_file() and self._has_ended_here(trial):
            state = TrialState.FAIL
        else:
            return False
        self.study.tell(trial.number, value, state, skip_if_finished=True)
        return True

    def _has_ended_here(self, trial: Any) -> bool:
        """Whether this trial, or another one with the same parameters, has ended in this sweep."""
        trials = self._all()
        ended = [number for number, lock in self.taken.items() if not lock.is_locked]
        return any(trials[number].params == trial.params for number in ended)

    def _lock(self, job: Job) -> FileLock | None:
        """The lock of a job's parameters; None if another process holds it or runs the job."""
        assert job.folder is not None
        lock = FileLock(self.journal.with_name(f"{slug(job.folder.path)}.lock"))
        with suppress(Timeout):
            lock.acquire(blocking=False)
            if not job.running:
                return lock
        lock.release()
        return None

    def _all(self) -> list[Any]:
        return self.study.get_trials(deepcopy=False)

    def _alone(self) -> FileLock:
        return FileLock(self.journal.with_suffix(".lock"))


def told(trial: Any) -> str:
    """The parameters of a trial as overrides."""
    return " ".join(f"{key}={value}" for key, value in trial.params.items())
