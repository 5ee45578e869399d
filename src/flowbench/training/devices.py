"""On which processes a training runs: this one, those the Trainer starts, or a cluster's."""

import os
from collections.abc import Mapping
from typing import Any

import pytorch_lightning as pl
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment

from flowbench.training.checkpoint_files import CheckpointFiles
from flowbench.training.configuration import ConfigError

__all__ = ["build_trainer"]


def build_trainer(keys: Mapping[str, Any], **own: Any) -> pl.Trainer:
    """The Trainer of this process, which is one of those that train together.

    Args:
        keys: the section `trainer` of a configuration.
        own: what flowbench adds.

    Raises:
        ConfigError: the processes are not those of one training.
    """
    trainer = pl.Trainer(**keys, **own, plugins=[CheckpointFiles(), *_cluster_plugins()])
    _refuse_children_of_a_sweep(trainer)
    _refuse_processes_apart(trainer)
    return trainer


def _cluster_plugins() -> list[Any]:
    """Under Slurm, leave requeueing to whoever has started the job."""
    if SLURMEnvironment.detect() and not TorchElasticEnvironment.detect():
        return [SLURMEnvironment(auto_requeue=False)]
    return []


def _refuse_children_of_a_sweep(trainer: pl.Trainer) -> None:
    """Refuse a job of a sweep whose other processes would repeat the sweep, not the job."""
    in_sweep = HydraConfig.initialized() and HydraConfig.get().mode is RunMode.MULTIRUN
    devices = trainer.num_devices
    if in_sweep and trainer.strategy.launcher is not None and devices > 1:
        raise ConfigError(
            f"trainer.devices={devices}: a sweep within one process cannot train on several "
            "devices; give each job its own processes with hydra/launcher=slurm "
            f"hydra.launcher.ntasks_per_node={devices}, or hydra/launcher=local "
            f"hydra.launcher.devices={devices}"
        )


def _refuse_processes_apart(trainer: pl.Trainer) -> None:
    """Refuse processes of torchrun or srun that would wait for others, or not know each other."""
    expected = trainer.num_devices * trainer.num_nodes
    if TorchElasticEnvironment.detect():
        started = int(os.environ["WORLD_SIZE"])
    elif SLURMEnvironment.detect():
        started = int(os.environ.get("SLURM_STEP_NUM_TASKS", "1"))
    else:
        return
    if started != expected:
        raise ConfigError(
            f"{started} processes were started, by torchrun or srun, for a training on {expected}"
            ": expected trainer=ddp, and as many as trainer.devices times trainer.num_nodes"
        )
