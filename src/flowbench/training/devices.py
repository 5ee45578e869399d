"""On which processes a training runs: this one, those the Trainer starts, or a cluster's."""

from typing import Any

import pytorch_lightning as pl
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment

from flowbench.training.configuration import ConfigError

__all__ = ["cluster_plugins", "refuse_children_of_a_sweep"]


def cluster_plugins() -> list[Any]:
    """Under Slurm, leave requeueing to whoever has started the job."""
    if SLURMEnvironment.detect() and not TorchElasticEnvironment.detect():
        return [SLURMEnvironment(auto_requeue=False)]
    return []


def refuse_children_of_a_sweep(trainer: pl.Trainer) -> None:
    """Refuse a job of a sweep whose other processes would repeat the sweep, not the job.

    Raises:
        ConfigError: with the command that works.
    """
    in_sweep = HydraConfig.initialized() and HydraConfig.get().mode is RunMode.MULTIRUN
    if in_sweep and trainer.strategy.launcher is not None and trainer.num_devices > 1:
        raise ConfigError(
            f"trainer.devices={trainer.num_devices}: a sweep within one process cannot train on "
            "several devices; give each job its own with hydra/launcher=local or "
            "hydra/launcher=slurm"
        )
