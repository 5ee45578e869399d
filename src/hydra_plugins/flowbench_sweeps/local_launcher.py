"""Several jobs at a time on this machine, each with GPUs or processor cores of its own."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from hydra_plugins.flowbench_sweeps.commands import job_arguments

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

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """Run all jobs; what becomes of each is in its folder."""
        logs = Path(self.config.hydra.sweep.dir, ".jobs")
        logs.mkdir(parents=True, exist_ok=True)
        print(f"{len(job_overrides)} jobs; what they print is in {logs}/", flush=True)
        waiting = list(enumerate(job_overrides, start=initial_job_idx))
        gpus = _gpus()
        free = self._slots(gpus)
        running: list[tuple[subprocess.Popen[bytes], Slot]] = []
        try:
            while waiting or running:
                while waiting and free:
                    index, overrides = waiting.pop(0)
                    words = job_arguments(self.config, overrides)
                    slot = free.pop(0)
                    log = logs / f"{index}.log"
                    running.append((_start(words, log, slot, on_gpus=bool(gpus)), slot))
                time.sleep(POLL_SECONDS)
                free += [slot for process, slot in running if process.poll() is not None]
                running = [(process, slot) for process, slot in running if process.poll() is None]
        finally:
            for process, _ in running:
                process.terminate()  # each saves
            for process, _ in running:
                process.wait()
        return []

    def _slots(self, gpus: Slot) -> list[Slot]:
        if gpus:
            groups = [gpus[i : i + self.devices] for i in range(0, len(gpus), self.devices)]
            return [group for group in groups if len(group) == self.devices][: self.jobs]
        cores, jobs = _cores(), self.jobs or 1
        return [cores[job::jobs] or cores for job in range(jobs)]


def _gpus() -> Slot:
    from torch.cuda import device_count  # slow to import

    return list(range(device_count()))


def _cores() -> Slot:
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def _start(words: list[str], log: Path, slot: Slot, *, on_gpus: bool) -> subprocess.Popen[Any]:
    command = [sys.executable, "-m", "flowbench.training.main", *words]
    numbers = ",".join(map(str, slot))
    if on_gpus:
        own = {"CUDA_VISIBLE_DEVICES": _visible(slot)}
    else:
        own = {"OMP_NUM_THREADS": str(len(slot))}
        command = ["taskset", "-c", numbers, *command] if shutil.which("taskset") else command
    with log.open("wb") as file:
        return subprocess.Popen(
            command, env=os.environ | own, stdout=file, stderr=subprocess.STDOUT
        )


def _visible(slot: Slot) -> str:
    names = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
    return ",".join(names[gpu] if names != [""] else str(gpu) for gpu in slot)
