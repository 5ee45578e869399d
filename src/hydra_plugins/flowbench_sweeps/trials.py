"""The trials of a study, shared by all who work on it: threads, processes, machines."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from filelock import FileLock, Timeout

from flowbench.run.folder import RunFolder
from flowbench.run.study import open_study
from hydra_plugins.flowbench_sweeps.commands import slug
from hydra_plugins.flowbench_sweeps.jobs import Job

__all__ = ["Sampler", "Trial", "Trials"]

POLL_SECONDS = 0.5
Sampler = Literal["tpe", "random"]


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A trial that this process has taken, and nobody else can take until it is told.

    Attributes:
        number: in the study.
        told: its parameters.
        job: that its parameters make.
        lock: held meanwhile; it falls when the process dies.
    """

    number: int
    told: str
    job: Job
    lock: FileLock


class Trials:
    """Trials to be taken, run and told, until there are enough.

    A trial belongs to whoever holds the lock of its run folder. One that is begun and belongs to
    nobody, because its process was killed, is taken before a new one is suggested. Suggestions
    depend on the seed and the number of the trial, not on who asks.

    Args:
        journal: file of the study; locks lie beside it.
        space: key → Optuna's distribution.
        job: from parameters to the job that they make.
        sampler: "tpe" (the tree-structured Parzen estimator), or "random".
        seed: of the sampler.
        n_trials: finished or pruned ones that are wanted; those that fail in this sweep count too.
        pruned: whether a run that was pruned counts.
    """

    def __init__(
        self,
        journal: Path,
        space: Mapping[str, Any],
        *,
        job: Callable[[Mapping[str, Any]], Job],
        sampler: Sampler,
        seed: int,
        n_trials: int,
        pruned: bool,
    ) -> None:
        journal.parent.mkdir(parents=True, exist_ok=True)
        self.journal = journal
        self.space = dict(space)
        self.make_job = job
        self.sampler: Sampler = sampler
        self.seed = seed
        self.n_trials = n_trials
        self.pruned = pruned
        self.seen: dict[int, Job] = {}
        with self._alone():
            self.study = open_study(journal)
            self.first = len(self._all())

    def take(self) -> Trial | None:
        """The next trial; waits where others hold all that are left. None: the end."""
        while True:
            with self._alone():
                trial, others = self._next()
            if trial is not None or not others:
                return trial
            time.sleep(POLL_SECONDS)

    def tell(self, trial: Trial) -> None:
        """Hand over what has become of a trial, and let go of it.

        One that has left nothing was killed, or stopped to be resumed: it stays open.
        """
        with self._alone():
            folder = trial.job.folder
            assert folder is not None
            if not self._tell(trial.number, folder) and folder.error.is_file():
                self._fail(trial.number)
        trial.lock.release()

    def jobs(self) -> list[Job]:
        """Those of all trials that count, in their order, each run once."""
        with self._alone():
            counted = [trial for trial in self._all() if self._counts(trial)]
        jobs = {}
        for trial in counted:
            job = self.seen.get(trial.number)
            if job is None:
                job = self.make_job(trial.params)
                job.skipped = trial.number < self.first
            jobs.setdefault(str(trial.params), job)
        return list(jobs.values())

    def best(self) -> str | None:
        """The trial with the highest validation log-likelihood, in words; None: none finished."""
        from optuna.trial import TrialState

        with self._alone():
            done = [trial for trial in self._all() if trial.state is TrialState.COMPLETE]
        if not done:
            return None
        best = max(done, key=lambda trial: trial.value)
        told = " ".join(f"{key}={value}" for key, value in best.params.items())
        return f"best of {len(done)} on validation rows: trial {best.number}, {told}"

    def _next(self) -> tuple[Trial | None, bool]:
        """A trial that is free, else whether others are at work on one."""
        others = False
        for begun in self._open():
            job = self.make_job(begun.params)
            if job.folder is None:
                self.seen[begun.number] = job
                self._fail(begun.number)
                continue
            lock = FileLock(
                self.journal.with_name(f"{slug(job.folder.path)}.lock"), thread_local=False
            )
            try:
                lock.acquire(blocking=False)
            except Timeout:
                others = True
                continue
            if not job.skipped and job.running:
                others = True
            elif self._has_failed(job.folder):
                self.seen[begun.number] = job
                self._fail(begun.number)
            else:
                self.seen[begun.number] = job
                if not self._tell(begun.number, job.folder):
                    told = " ".join(f"{key}={value}" for key, value in begun.params.items())
                    return Trial(number=begun.number, told=told, job=job, lock=lock), others
            lock.release()
        return None, others

    def _open(self) -> Iterator[Any]:
        """Trials that were begun and not here, then new ones up to the number."""
        from optuna.trial import TrialState

        for trial in self._all():
            if trial.state is TrialState.RUNNING and trial.number not in self.seen:
                yield trial
        while sum(map(self._counts, trials := self._all())) < self.n_trials:
            self.study.sampler = self._sampler(len(trials))
            yield self.study.ask(self.space)

    def _sampler(self, number: int) -> Any:
        import optuna

        seed = int(np.random.SeedSequence([self.seed, number]).generate_state(1)[0])
        if self.sampler == "random":
            return optuna.samplers.RandomSampler(seed=seed)
        return optuna.samplers.TPESampler(seed=seed)

    def _counts(self, trial: Any) -> bool:
        """Whether it is one of those wanted: all but those that have failed in earlier sweeps."""
        from optuna.trial import TrialState

        here = trial.number >= self.first or trial.number in self.seen
        return trial.state is not TrialState.FAIL or here

    def _tell(self, number: int, folder: RunFolder) -> bool:
        """Tell what stands in the folder of a run, if that has come to its end."""
        from optuna.trial import TrialState

        if folder.finished:
            scores = folder.read_result()["val"]["log_likelihood"]["model_space"]
            self.study.tell(number, scores["mean"])
        elif self.pruned and folder.pruned.is_file():
            self.study.tell(number, state=TrialState.PRUNED)
        else:
            return False
        return True

    def _has_failed(self, folder: RunFolder) -> bool:
        """Whether another trial of this sweep had the same parameters, in vain."""
        tried = {job.folder.path for job in self.seen.values() if job.folder is not None}
        return folder.path in tried and folder.error.is_file()

    def _fail(self, number: int) -> None:
        from optuna.trial import TrialState

        self.study.tell(number, state=TrialState.FAIL)

    def _all(self) -> list[Any]:
        return self.study.get_trials(deepcopy=False)

    def _alone(self) -> FileLock:
        return FileLock(self.journal.with_suffix(".lock"))
