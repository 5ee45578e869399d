"""Several jobs at a time on this machine, each with its own GPUs and CPU cores."""

import atexit
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Collection, Sequence
from functools import cached_property

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from flowbench.config.limits import AtLeastOne
from flowbench.run.identity import run_directory
from hydra_plugins.flowbench_sweeps.commands import compose, job_arguments, logs, slug
from hydra_plugins.flowbench_sweeps.slots import Slot, slots

__all__ = ["LocalLauncher"]

POLL_SECONDS = 0.1


class LocalLauncher(Launcher):
    """A queue of jobs, each of which starts as soon as devices are free.

    Args:
        jobs: number of concurrent jobs; None: one per group of GPUs, or one without GPUs.
        devices: GPUs of each job.
    """

    def __init__(self, *, jobs: AtLeastOne | None = None, devices: AtLeastOne = 1) -> None:
        self.jobs = jobs
        self.devices = devices
        self.running: dict[subprocess.Popen[bytes], Slot] = {}

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Keep the configuration; when this process exits, jobs save and exit too."""
        self.config = config
        self.loader = hydra_context.config_loader
        atexit.register(self._stop)

    @property
    def at_a_time(self) -> int:
        """The number of concurrent jobs."""
        return len(self._free) + len(self.running)

    @cached_property
    def _free(self) -> list[Slot]:
        """The free devices, one slot for each job that could start now."""
        gpus = [] if self.config.trainer.accelerator == "cpu" else _gpus()
        return slots(gpus, _cores(), jobs=self.jobs, devices=self.devices)

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """Run all jobs; the outcome of each is in its folder."""
        if len(job_overrides) > 1:
            place = logs(self.config)
            print(f"{len(job_overrides)} jobs; what they print is in {place}/", flush=True)
        waiting = list(job_overrides)
        while waiting or self.alive():
            while waiting and self._free:
                self.start(waiting.pop(0))
            time.sleep(POLL_SECONDS)
        return []

    def start(self, overrides: Sequence[str]) -> subprocess.Popen[bytes]:
        """Start a job on free devices."""
        slot = self._free.pop(0)
        command = [sys.executable, "-m", "flowbench.run.main"]
        command += job_arguments(self.config, overrides)
        if shutil.which("taskset"):
            command = ["taskset", "-c", ",".join(map(str, slot.cores)), *command]
        own = {"OMP_NUM_THREADS": str(len(slot.cores))}
        own |= {"CUDA_VISIBLE_DEVICES": _visible(slot.gpus)} if slot.gpus else {}
        folder = run_directory(compose(self.loader, self.config, overrides))
        log = logs(self.config) / f"{slug(folder)}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as file:
            job = subprocess.Popen(
                command, env=os.environ | own, stdout=file, stderr=subprocess.STDOUT
            )
        self.running[job] = slot
        return job

    def alive(self) -> Collection[subprocess.Popen[bytes]]:
        """The running jobs; devices of jobs that have ended become free."""
        for job in [job for job in self.running if job.poll() is not None]:
            self._free.append(self.running.pop(job))
        return self.running

    def _stop(self) -> None:
        """Let every job save and exit."""
        for job in self.running:
            job.terminate()
        for job in self.running:
            job.wait()


def _gpus() -> list[int]:
    from torch.cuda import device_count  # slow to import

    return list(range(device_count()))


def _cores() -> list[int]:
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def _visible(gpus: Sequence[int]) -> str:
    names = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
    return ",".join(names[gpu] if names != [""] else str(gpu) for gpu in gpus)
