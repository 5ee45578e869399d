"""Several jobs at a time on this machine, each with GPUs and processor cores of its own."""

import atexit
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from flowbench.config.limits import AtLeastOne
from flowbench.run.identity import run_directory
from hydra_plugins.flowbench_sweeps.commands import compose, job_arguments, slug
from hydra_plugins.flowbench_sweeps.slots import Slot, slots

__all__ = ["LocalLauncher"]

POLL_SECONDS = 0.1


class LocalLauncher(Launcher):
    """A small queue: a job starts as soon as devices are free.

    Args:
        jobs: how many at a time; None: one per group of GPUs, or one where there is none.
        devices: GPUs of each job.
    """

    def __init__(
        self,
        *,
        jobs: AtLeastOne | None = None,
        devices: AtLeastOne = 1,
    ) -> None:
        self.jobs = jobs
        self.devices = devices
        self.processes: list[subprocess.Popen[bytes]] = []
        self.starting = threading.Lock()
        self.stopped = False

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Remember what Hydra tells."""
        self.config = config
        self.loader = hydra_context.config_loader
        atexit.register(self._stop)  # where jobs are started by other threads than the main one

    @property
    def at_a_time(self) -> int:
        """How many jobs run side by side."""
        return len(self._free)

    @cached_property
    def _free(self) -> list[Slot]:
        """The devices of each job that could be started now."""
        gpus = [] if self.config.trainer.accelerator == "cpu" else _gpus()
        return slots(gpus, _cores(), jobs=self.jobs, devices=self.devices)

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """Run all jobs; what becomes of each is in its folder."""
        free = self._free
        logs = Path(self.config.hydra.sweep.dir, ".jobs")
        logs.mkdir(parents=True, exist_ok=True)
        if len(job_overrides) > 1:
            print(f"{len(job_overrides)} jobs; what they print is in {logs}/", flush=True)
        waiting = list(job_overrides)
        running: list[tuple[subprocess.Popen[bytes], Slot]] = []
        try:
            while waiting or running:
                while waiting and free:
                    slot = free.pop(0)
                    running.append((self._start(waiting.pop(0), logs, slot), slot))
                time.sleep(POLL_SECONDS)
                ended = [pair for pair in running if pair[0].poll() is not None]
                running = [pair for pair in running if pair not in ended]
                free.extend(slot for _, slot in ended)
        except BaseException:
            self._stop()
            raise
        return []

    def _start(self, overrides: Sequence[str], logs: Path, slot: Slot) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "flowbench.run.main"]
        command += job_arguments(self.config, overrides)
        if shutil.which("taskset"):
            command = ["taskset", "-c", ",".join(map(str, slot.cores)), *command]
        own = {"OMP_NUM_THREADS": str(len(slot.cores))}
        own |= {"CUDA_VISIBLE_DEVICES": _visible(slot.gpus)} if slot.gpus else {}
        folder = run_directory(compose(self.loader, self.config, overrides))
        log = logs / f"{slug(folder)}.log"
        with self.starting, log.open("ab") as file:
            if self.stopped:
                raise KeyboardInterrupt
            process = subprocess.Popen(
                command, env=os.environ | own, stdout=file, stderr=subprocess.STDOUT
            )
            self.processes.append(process)
        return process

    def _stop(self) -> None:
        """Have every job save and end, and start none any more, whatever thread wants to."""
        with self.starting:
            self.stopped = True
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            process.wait()


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
