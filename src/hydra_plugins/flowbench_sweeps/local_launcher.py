"""Several jobs at a time on this machine, each with GPUs or processor cores of its own."""

import atexit
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from flowbench.training.configuration import ConfigError
from flowbench.training.run_identity import run_directory
from hydra_plugins.flowbench_sweeps.commands import compose, job_arguments, slug

__all__ = ["LocalLauncher"]

POLL_SECONDS = 0.1
Slot = list[int]


class LocalLauncher(Launcher):
    """A small queue: a job starts as soon as devices are free.

    Args:
        jobs: how many at a time; None: one per group of GPUs, or one where there is none.
        devices: GPUs of each job.
    """

    def __init__(self, *, jobs: int | None = None, devices: int = 1) -> None:
        self.jobs = jobs
        self.devices = devices

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Remember what Hydra tells."""
        self.config = config
        self.loader = hydra_context.config_loader

    @property
    def at_a_time(self) -> int:
        """How many jobs run side by side."""
        return len(self._free)

    @cached_property
    def _free(self) -> list[Slot]:
        """The devices of each job that could be started now."""
        gpus, cores, jobs = _gpus(), _cores(), self.jobs or 1
        if not gpus:
            return [cores[job::jobs] or cores for job in range(jobs)]
        if self.devices > len(gpus):
            raise ConfigError(
                f"hydra.launcher.devices={self.devices}: this machine has {len(gpus)} GPUs"
            )
        groups = [gpus[i : i + self.devices] for i in range(0, len(gpus), self.devices)]
        return [group for group in groups if len(group) == self.devices][: self.jobs]

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """Run all jobs; what becomes of each is in its folder."""
        logs = Path(self.config.hydra.sweep.dir, ".jobs")
        logs.mkdir(parents=True, exist_ok=True)
        if len(job_overrides) > 1:
            print(f"{len(job_overrides)} jobs; what they print is in {logs}/", flush=True)
        waiting = list(job_overrides)
        running: list[tuple[subprocess.Popen[bytes], Slot]] = []
        try:
            while waiting or running:
                while waiting and self._free:
                    slot = self._free.pop(0)
                    running.append((self._start(waiting.pop(0), logs, slot), slot))
                time.sleep(POLL_SECONDS)
                ended = [pair for pair in running if pair[0].poll() is not None]
                running = [pair for pair in running if pair not in ended]
                self._free.extend(slot for _, slot in ended)
        finally:
            for process, _ in running:
                process.terminate()  # each saves
            for process, _ in running:
                process.wait()
        return []

    def _start(self, overrides: Sequence[str], logs: Path, slot: Slot) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "flowbench.training.main"]
        command += job_arguments(self.config, overrides)
        if _gpus():
            own = {"CUDA_VISIBLE_DEVICES": _visible(slot)}
        else:
            own = {"OMP_NUM_THREADS": str(len(slot))}
            cores = ",".join(map(str, slot))
            command = ["taskset", "-c", cores, *command] if shutil.which("taskset") else command
        folder = run_directory(compose(self.loader, self.config, overrides))
        log = logs / f"{slug(folder)}.log"
        with log.open("ab") as file:
            process = subprocess.Popen(
                command, env=os.environ | own, stdout=file, stderr=subprocess.STDOUT
            )
        atexit.register(process.terminate)  # where this process is interrupted in another thread
        return process


def _gpus() -> Slot:
    from torch.cuda import device_count  # slow to import

    return list(range(device_count()))


def _cores() -> Slot:
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def _visible(slot: Slot) -> str:
    names = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
    return ",".join(names[gpu] if names != [""] else str(gpu) for gpu in slot)
