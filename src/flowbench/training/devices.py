"""The processes of a training: this one, those of the Trainer, or those of a cluster."""

import os
from typing import Any

import pytorch_lightning as pl
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment

from flowbench.config.errors import ConfigError
from flowbench.config.settings import TrainerKeys
from flowbench.training.accelerator import chosen
from flowbench.training.checkpoint_files import CheckpointFiles

__all__ = ["build_trainer", "meet"]


def build_trainer(keys: TrainerKeys, **own: Any) -> pl.Trainer:
    """The Trainer of this process.

    Args:
        keys: the settings of the section `trainer`.
        own: keywords that flowbench sets itself.

    Raises:
        ConfigError: the processes do not fit the settings.
    """
    own |= {"accelerator": chosen(keys.accelerator)}
    own |= {"plugins": [CheckpointFiles(), *_cluster_plugins()]}
    trainer = pl.Trainer(**{**keys.keywords(), **own})
    _refuse_children_of_a_sweep(trainer)
    _refuse_processes_apart(trainer)
    return trainer


def meet(keys: TrainerKeys) -> None:
    """Set up the process group, if torchrun or a cluster has started the processes.

    Processes that the Trainer starts itself join later.

    Args:
        keys: the settings of the section `trainer`.

    Raises:
        ConfigError: the processes do not fit the settings.
    """
    trainer = build_trainer(keys, logger=False, enable_checkpointing=False)
    if _environment(trainer) and not isinstance(_environment(trainer), LightningEnvironment):
        trainer.strategy.setup_environment()


def _cluster_plugins() -> list[Any]:
    """Under Slurm, leave requeueing to the launcher of the job.

    Raises:
        ConfigError: the number of tasks per node is not given.
    """
    if SLURMEnvironment.detect() and not TorchElasticEnvironment.detect():
        try:
            return [SLURMEnvironment(auto_requeue=False)]
        except RuntimeError as error:
            raise ConfigError(
                f"Slurm has {os.environ['SLURM_NTASKS']} tasks by --ntasks: give --nodes and "
                "--ntasks-per-node, one task per device"
            ) from error
    return []


def _refuse_children_of_a_sweep(trainer: pl.Trainer) -> None:
    """Refuse a job of a sweep whose child processes would repeat the whole sweep."""
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
    """Refuse more or fewer processes of torchrun or srun than the training has."""
    expected = trainer.num_devices * trainer.num_nodes
    if TorchElasticEnvironment.detect():
        started = int(os.environ["WORLD_SIZE"])
    elif SLURMEnvironment.detect():
        started = int(os.environ.get("SLURM_STEP_NUM_TASKS", "1"))
    elif isinstance(_environment(trainer), LightningEnvironment) and trainer.num_nodes > 1:
        raise ConfigError(
            f"trainer.num_nodes={trainer.num_nodes}: several machines need torchrun, or Slurm "
            "with scripts/slurm_train.sh"
        )
    else:
        return
    if started != expected:
        raise ConfigError(
            f"{started} processes were started, by torchrun or srun, for a training on {expected}"
            ": expected trainer=ddp, and as many as trainer.devices times trainer.num_nodes"
        )


def _environment(trainer: pl.Trainer) -> object:
    """The environment that started the processes; None if there is only one."""
    return getattr(trainer.strategy, "cluster_environment", None)
