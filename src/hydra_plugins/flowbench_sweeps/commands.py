"""A job of a sweep as a configuration, as a command and as a file name."""

from collections.abc import Sequence
from pathlib import Path

from hydra.core.config_loader import ConfigLoader
from omegaconf import DictConfig, open_dict

from flowbench.config.choices import OF_SWEEPS
from flowbench.run.names import config_flags

__all__ = ["compose", "job_arguments", "logs", "slug"]

OF_THE_SWEEP = (*OF_SWEEPS, "hydra.mode")


def compose(loader: ConfigLoader, config: DictConfig, overrides: Sequence[str]) -> DictConfig:
    """The configuration of a job, without its `hydra` node.

    Args:
        loader: Hydra's.
        config: of the sweep.
        overrides: of the job.
    """
    job = loader.load_sweep_config(config, list(overrides))
    with open_dict(job):
        del job["hydra"]
    return job


def job_arguments(config: DictConfig, overrides: Sequence[str]) -> list[str]:
    """The arguments of `train.py` for one run of a sweep.

    Args:
        config: of the sweep, with its `hydra` node.
        overrides: of the job.
    """
    own = [word for word in config.hydra.overrides.hydra if not word.startswith(OF_THE_SWEEP)]
    return [*config_flags(config.hydra), *own, *overrides]


def logs(config: DictConfig) -> Path:
    """The folder for the output of jobs."""
    return Path(config.hydra.sweep.dir, ".jobs")


def slug(folder: Path) -> str:
    """The run folder of a job as a file name.

    Example:
        >>> slug(Path("outputs/toy/maf/c9654196/seed=0"))
        'toy-maf-c9654196-seed=0'
    """
    return "-".join(folder.parts[-4:])
