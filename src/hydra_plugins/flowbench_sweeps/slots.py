"""The GPUs and CPU cores of each of several concurrent jobs."""

from collections.abc import Sequence
from dataclasses import dataclass

from flowbench.config.configuration import ConfigError

__all__ = ["Slot", "slots"]


@dataclass(frozen=True)
class Slot:
    """The devices of one job.

    Attributes:
        gpus: indices of GPUs; empty if there are none or they are not used.
        cores: indices of CPU cores, at least one.
    """

    gpus: tuple[int, ...]
    cores: tuple[int, ...]


def slots(
    gpus: Sequence[int], cores: Sequence[int], *, jobs: int | None, devices: int
) -> list[Slot]:
    """A slot for each job: groups of GPUs and single cores are assigned in turn.

    Args:
        gpus: indices of all GPUs.
        cores: indices of all CPU cores.
        jobs: number of concurrent jobs; None: one per group of GPUs, or one without GPUs.
        devices: GPUs of each job.

    Raises:
        ConfigError: a job needs more GPUs than there are.

    Example:
        >>> for slot in slots([0, 1], range(6), jobs=3, devices=1):
        ...     print(slot)
        Slot(gpus=(0,), cores=(0, 3))
        Slot(gpus=(1,), cores=(1, 4))
        Slot(gpus=(0,), cores=(2, 5))
    """
    if gpus and devices > len(gpus):
        raise ConfigError(f"hydra.launcher.devices={devices}: this machine has {len(gpus)} GPUs")
    groups = [gpus[i : i + devices] for i in range(0, len(gpus) - devices + 1, devices)] or [()]
    jobs = jobs or len(groups)
    return [
        Slot(
            gpus=tuple(groups[job % len(groups)]),
            cores=tuple(cores[job::jobs] or [cores[job % len(cores)]]),
        )
        for job in range(jobs)
    ]
