"""The training of a run, from the start or from its last checkpoint."""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from hydra.utils import instantiate
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.loggers import Logger
from pytorch_lightning.utilities import rank_zero_only

from flowbench import ranks
from flowbench.checkpoint import start_from
from flowbench.config.errors import ConfigError
from flowbench.config.settings import Settings
from flowbench.data import DataModule
from flowbench.flows import Flow
from flowbench.formatting import counted
from flowbench.run.folder import RunFolder
from flowbench.run.leakage import refuse_leaking_rows
from flowbench.run.longer import continue_shorter
from flowbench.run.pruning import Pruning
from flowbench.training.averaging import averages
from flowbench.training.callbacks import BestAndLast, EpochBar, History
from flowbench.training.checkpoint_files import best_state, resuming
from flowbench.training.cpu_time import CpuTime
from flowbench.training.devices import build_trainer
from flowbench.training.flow_module import FlowModule, is_trainable
from flowbench.training.interruption import Interruptions
from flowbench.transforms.weighted_rows import on_rows

__all__ = ["Fitted", "fit"]


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """The outcome of a training.

    Attributes:
        flow: with the parameters of its best epoch, in evaluation mode.
        history: one row of metrics per epoch.
        best_epoch: counted from 0; −1 if nothing was trained.
        step: optimiser steps.
        device: the one it was trained on.
        engine: that trained it; None if nothing was trained.
        leads: whether this process writes the results and prints.
        race: what `result.json` says of a race between models, if there was one.
        val: statistics of validation rows in both spaces, where the flow was trained on these rows
            too and others like it, which were not, tell how good it is.
        seconds_left: of the time that the run was given; None: as much as it takes.
    """

    flow: Flow
    history: list[dict[str, Any]]
    best_epoch: int
    step: int
    device: torch.device
    engine: str | None
    leads: bool
    race: dict[str, Any] | None = None
    val: dict[str, Any] | None = None
    seconds_left: float | None = None


def fit(
    module: FlowModule,
    data: DataModule,
    settings: Settings,
    folder: RunFolder,
    loggers: list[Logger],
    *,
    command: str,
    cpu_time: CpuTime | None = None,
) -> Fitted | None:
    """Train the flow of a module and restore the parameters of its best epoch.

    Args:
        module: with the flow.
        data: set up.
        settings: of the run.
        folder: of the run.
        loggers: of the metrics.
        command: that starts the run.
        cpu_time: of the run.

    Returns:
        None if there is nothing left to do in this process: a search has pruned the run, or
        another process does the rest.
    """
    resume = _begin(module, data, settings, folder)
    history = History(folder.metrics)
    best = BestAndLast(best=folder.best, last=folder.last, patience=settings.training.patience)
    pruning = Pruning(folder, command=command)
    trainer = build_trainer(
        settings.trainer,
        callbacks=[
            history,
            *([cpu_time] if cpu_time else []),
            *averages(settings.training),
            *_callbacks(settings),
            pruning,
            best,
            Interruptions(folder.last, minutes=settings.save_minutes),
            *([EpochBar()] if settings.trainer.enable_progress_bar else []),
        ],
        logger=loggers,
        default_root_dir=folder.path,
        num_sanity_val_steps=0,
        enable_model_summary=False,
    )
    if trainer.is_global_zero:
        folder.begin()
    if is_trainable(module):
        _tell_of_small_split(data)
        with resuming(resume):
            trainer.fit(module, datamodule=data, ckpt_path=resume, weights_only=True)
    else:
        train = data.rows["train"]
        on_rows(module.flow.recompute_statistics, train.x, train.context, train.weight)
        _save(trainer, module, folder.best)
    if pruning.pruned or (ranks.size() == 1 and not trainer.is_global_zero):
        return None
    state = best.best_state if is_trainable(module) else lambda: best_state(folder.best, epoch=0)
    module.flow.load_state_dict(ranks.of_first(state))
    device = trainer.strategy.root_device
    return Fitted(
        flow=module.flow.to(device).eval(),  # the Trainer leaves it on the CPU
        history=history.rows,
        best_epoch=best.best_epoch,
        step=module.step,
        device=device,
        engine=(module.engine or "plain") if is_trainable(module) else None,
        leads=trainer.is_global_zero,
    )


def _callbacks(settings: Settings) -> Iterator[Callback]:
    """The callbacks of the section of that name."""
    for name, node in settings.callbacks.items():
        try:
            callback = instantiate(node)
        except Exception as error:  # of any class
            reason = " ".join(str(error.__cause__ or error).split())
            raise ConfigError(
                f"callbacks.{name}._target_={node['_target_']} cannot be built: {reason[:300]}"
            ) from error
        if not isinstance(callback, Callback):
            raise ConfigError(
                f"callbacks.{name}._target_={node['_target_']} gives a "
                f"{type(callback).__name__}, expected a pytorch_lightning.Callback"
            )
        yield callback


@rank_zero_only
def _tell_of_small_split(data: DataModule) -> None:
    rows = len(data.rows["train"])
    if rows < data.batch_size:
        warnings.warn(
            f"the training split has {counted(rows, 'rows')}, fewer than training.batch_size="
            f"{data.batch_size}: every step takes all of them",
            stacklevel=1,
        )


def _begin(
    module: FlowModule, data: DataModule, settings: Settings, folder: RunFolder
) -> Path | None:
    """Initialise the flow, or return the checkpoint to resume from."""

    def resumes() -> bool:
        return folder.last.exists() or (
            is_trainable(module) and continue_shorter(settings, folder)
        )

    if not settings.overwrite and ranks.of_first(resumes):
        return folder.last
    train = data.rows["train"]
    on_rows(module.flow.initialize, train.x, train.context, train.weight)
    if settings.init_from is not None:
        refuse_leaking_rows(settings, data)
        start_from(module.flow, settings.init_from)
    return None


def _save(trainer: pl.Trainer, module: FlowModule, path: Path) -> None:
    """Save a checkpoint of a flow that needs no training."""
    trainer.strategy.connect(module)
    module.trainer = trainer
    trainer.save_checkpoint(path, weights_only=True)
