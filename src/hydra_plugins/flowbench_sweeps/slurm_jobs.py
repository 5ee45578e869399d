"""What a Slurm job runs; one that is pre-empted saves and is requeued."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from hydra._internal.hydra import Hydra
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from flowbench.config.files import complete_files
from flowbench.exits import FAILED, MISTAKE
from flowbench.training.interrupted import Interrupted
from hydra_plugins.flowbench_sweeps.packed_launcher import PackedLauncher

__all__ = ["SlurmJob", "SlurmPack", "squeue"]

REQUEUED = -1  # the exit code that submitit gives a job which it has requeued


class SlurmJob:
    """A run, pickled for the cluster.

    Args:
        arguments: of `train.py`.
    """

    def __init__(self, arguments: list[str]) -> None:
        self.arguments = arguments
        self.directory = os.getcwd()

    def __call__(self) -> object:
        """Run it; the outcome is in its folder."""
        from flowbench.run.main import main

        _requeue_when_told_to_stop()
        os.chdir(self.directory)
        sys.argv = ["train.py", *self.arguments]
        try:
            main()
        except SystemExit as stop:
            if stop.code == REQUEUED:
                raise
            if stop.code in (FAILED, MISTAKE):  # the other tasks of the job would wait for this
                raise
            return stop.code
        return 0

    def checkpoint(self) -> Any:
        """What a requeued job runs: the same command, which resumes."""
        return _again(self)


class SlurmPack:
    """Runs that are trained together, pickled for the cluster.

    Args:
        context: of Hydra, for the sweep.
        function: that runs a job of Hydra.
        config: of the sweep.
        pack: the overrides of each run.
    """

    def __init__(
        self,
        context: HydraContext,
        function: TaskFunction,
        config: DictConfig,
        pack: Sequence[Sequence[str]],
    ) -> None:
        self.places = context.config_loader.get_search_path()  # a loader cannot be pickled
        self.callbacks = context.callbacks
        self.function = function
        self.config = config
        self.pack = pack
        self.directory = os.getcwd()

    def __call__(self) -> object:
        """Run all of them; the outcome of each is in its folder."""
        _requeue_when_told_to_stop()
        os.chdir(self.directory)
        complete_files()
        loader = Hydra.create_main_hydra2("flowbench", self.places).config_loader
        context = HydraContext(config_loader=loader, callbacks=self.callbacks)
        launcher = PackedLauncher()
        launcher.setup(hydra_context=context, task_function=self.function, config=self.config)
        try:
            launcher.run(self.pack)
        except Interrupted as stop:
            print(f"{stop}; the same command resumes the runs", file=sys.stderr)
            if stop.code == REQUEUED:
                sys.exit(REQUEUED)
            return stop.code
        return 0

    def checkpoint(self) -> Any:
        """What a requeued job runs: the same runs, of which each resumes."""
        return _again(self)


def squeue(*options: str) -> subprocess.CompletedProcess[str]:
    """Call `squeue`, which prints a line per job."""
    words = ["squeue", "--noheader", "--array", *options]
    return subprocess.run(words, capture_output=True, text=True, check=False)


def _again(job: SlurmJob | SlurmPack) -> Any:
    import submitit

    return submitit.helpers.DelayedSubmission(job)


def _requeue_when_told_to_stop() -> None:
    """Handle SIGUSR1 as submitit does SIGUSR2, and SIGTERM too, unless the job is cancelled."""
    requeue = signal.getsignal(signal.SIGUSR2)
    assert callable(requeue)

    def if_not_cancelled(signum: int, frame: Any) -> None:
        job = os.environ["SLURM_JOB_ID"]
        if squeue(f"--jobs={job}", "--states=running").stdout.strip():
            requeue(signum, frame)

    signal.signal(signal.SIGUSR1, requeue)
    signal.signal(signal.SIGTERM, if_not_cancelled)
