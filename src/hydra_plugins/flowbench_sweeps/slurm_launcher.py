"""Jobs of a sweep as Slurm jobs, by submitit."""

import atexit
import os
import shutil
import sys
import time
from collections.abc import Collection, Sequence
from typing import Any

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from flowbench.config.configuration import ConfigError
from flowbench.config.limits import AtLeastOne, AtLeastZero, Text
from flowbench.extras import how_to_install
from hydra_plugins.flowbench_sweeps.commands import job_arguments, logs
from hydra_plugins.flowbench_sweeps.packed_launcher import packs_of
from hydra_plugins.flowbench_sweeps.slurm_jobs import SlurmJob, SlurmPack, squeue

__all__ = ["SlurmLauncher"]


class SlurmLauncher(Launcher):
    """Submits all jobs at once and waits for them, by `squeue`, which needs no accounting.

    Args:
        pack: runs of a job, at most; those that differ in seeds, orders of features or
            optimisation alone are one job, as one process trains them with hydra/launcher=packed.
        max_num_timeout: how often a job that reaches its time limit is requeued.
        job_name: shown by squeue.
        partition: of the cluster; None: its default.
        account: to charge; None: the default.
        constraint: features that a node must have.
        time: minutes; a job that reaches this limit is saved and requeued.
        signal_delay_s: seconds before the limit at which the job is signalled.
        nodes: with several devices per run: trainer.num_nodes.
        ntasks_per_node: with several devices per run: trainer.devices.
        gpus_per_node: GPUs on each node.
        cpus_per_task: cores of each task.
        mem: memory of each node, e.g. 16GB.
        array_parallelism: number of concurrent jobs; None: no limit.
        setup: shell commands that a job runs first.
        srun_args: further arguments of srun.
        parameters: further ones of submitit's Slurm executor, e.g. `qos`, `exclude`.
    """

    poll_seconds = 2.0

    def __init__(
        self,
        *,
        max_num_timeout: AtLeastZero,
        pack: AtLeastOne = 1,
        job_name: Text = "flowbench",
        partition: Text | None = None,
        account: Text | None = None,
        constraint: Text | None = None,
        time: AtLeastOne = 240,
        signal_delay_s: AtLeastOne = 120,
        nodes: AtLeastOne = 1,
        ntasks_per_node: AtLeastOne = 1,
        gpus_per_node: AtLeastOne | Text | None = None,
        cpus_per_task: AtLeastOne | None = None,
        mem: Text | None = None,
        array_parallelism: AtLeastOne | None = None,
        setup: Sequence[str] | None = None,
        srun_args: Sequence[str] | None = None,
        **parameters: Any,
    ) -> None:
        self.pack = pack
        self.max_num_timeout = max_num_timeout
        self.array_parallelism = array_parallelism
        own = {"array_parallelism": array_parallelism, "setup": setup, "srun_args": srun_args}
        own |= {"job_name": job_name, "partition": partition, "account": account}
        own |= {"constraint": constraint, "time": time, "signal_delay_s": signal_delay_s}
        own |= {"nodes": nodes, "ntasks_per_node": ntasks_per_node, "mem": mem}
        own |= {"gpus_per_node": gpus_per_node, "cpus_per_task": cpus_per_task}
        self.parameters = own | parameters
        self.submitted: dict[str, int] = {}  # arrays that have not ended, and their sizes

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Keep the configuration."""
        self.context = hydra_context
        self.function = task_function
        self.config = config
        atexit.register(self._tell)

    @property
    def at_a_time(self) -> int | None:
        """The number of concurrent jobs; None: no limit."""
        return self.array_parallelism

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """Run all jobs; the outcome of each is in its folder.

        Raises:
            ConfigError: submitit or Slurm is not there, or Slurm refuses the jobs.
        """
        self._submit(job_overrides)
        while self.alive():
            time.sleep(self.poll_seconds)
        return []

    def start(self, overrides: Sequence[str]) -> str:
        """Submit a job; returns the number of its array."""
        return self._submit([overrides])

    def alive(self) -> Collection[str]:
        """The job arrays that are pending or running; all of them if Slurm does not answer."""
        listed = _listed()
        if listed is not None:
            self.submitted = {a: jobs for a, jobs in self.submitted.items() if a in listed}
        return self.submitted

    def _tell(self) -> None:
        """Print how to cancel jobs that are left when this process exits."""
        if not self.submitted:
            return
        listed = _listed()
        jobs = self.submitted.values() if listed is None else map(listed.count, self.submitted)
        if left := sum(jobs):
            words = " ".join(self.submitted)
            print(f"{left} jobs go on in Slurm; to cancel them: scancel {words}", file=sys.stderr)

    def _submit(self, job_overrides: Sequence[Sequence[str]]) -> str:
        """Submit jobs as an array; returns its number."""
        try:
            import submitit
            from submitit.core.utils import FailedJobError
        except ModuleNotFoundError as error:
            raise ConfigError(
                f"hydra/launcher=slurm needs its extra: {how_to_install('sweep')} ({error})"
            ) from error
        if shutil.which("sbatch") is None:
            raise ConfigError("hydra/launcher=slurm: there is no sbatch on this machine")
        folder = logs(self.config).absolute()
        executor = submitit.SlurmExecutor(folder=folder, max_num_timeout=self.max_num_timeout)
        plain = OmegaConf.to_container(OmegaConf.create(self.parameters), resolve=True)
        assert isinstance(plain, dict)
        given = {str(key): value for key, value in plain.items() if value is not None}
        given["srun_args"] = ["--kill-on-bad-exit=1", *given.get("srun_args", [])]
        executor.update_parameters(**given)
        try:
            with executor.batch():
                jobs = [executor.submit(self._job(pack)) for pack in self._packs(job_overrides)]
        except FailedJobError as error:
            reason = str(error).splitlines()[-1].removeprefix("sbatch: error: ")
            raise ConfigError(f"Slurm refuses hydra.launcher: {reason}") from error
        array = jobs[0].job_id.partition("_")[0]
        self.submitted[array] = len(jobs)
        runs = f"{len(job_overrides)} runs"
        runs += f" in {len(jobs)} jobs" if len(jobs) < len(job_overrides) else ""
        print(f"Slurm job {array}, {runs}; their output is in {folder}/", flush=True)
        return array

    def _packs(self, job_overrides: Sequence[Sequence[str]]) -> list[list[Sequence[str]]]:
        if self.pack == 1:
            return [[overrides] for overrides in job_overrides]
        loader = self.context.config_loader
        return packs_of(job_overrides, loader, self.config, at_most=self.pack)

    def _job(self, pack: Sequence[Sequence[str]]) -> SlurmJob | SlurmPack:
        if len(pack) > 1:
            return SlurmPack(self.context, self.function, self.config, pack)
        return SlurmJob(job_arguments(self.config, pack[0]))


def _listed() -> list[str] | None:
    """The array numbers of all jobs of this user; None if Slurm does not answer."""
    found = squeue(f"--user={os.getuid()}", "--format=%F")
    return None if found.returncode else found.stdout.split()
