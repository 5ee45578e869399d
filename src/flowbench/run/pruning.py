"""A run as a trial of a search: it reports every validation and may be pruned."""

import os
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback

from flowbench import ranks
from flowbench.metrics import VALIDATION
from flowbench.run.folder import RunFolder
from flowbench.run.names import STUDY, TRIAL
from flowbench.run.study import open_study
from flowbench.training.flow_module import FlowModule

__all__ = ["Pruning"]


class Pruning(Callback):
    """Reports the validation log-likelihood of every epoch, and stops a run below the median.

    The median is that of the finished trials at the same epoch. No run is pruned before five
    trials have finished, or in its first five epochs. A pruned run leaves `pruned.json`. Outside
    of a search this callback does nothing.

    Args:
        folder: of the run.
        command: the one for this run alone.
    """

    def __init__(self, folder: RunFolder, *, command: str) -> None:
        self.folder = folder
        self.command = command
        self.trial: Any = None
        self.pruned = False

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Find the trial that the environment names, on rank 0."""
        if TRIAL in os.environ and trainer.is_global_zero:
            import optuna

            pruner = optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=5)
            study = open_study(os.environ[STUDY], pruner=pruner)
            frozen = study.get_trials(deepcopy=False)[int(os.environ[TRIAL])]
            self.trial = optuna.trial.Trial(study, frozen._trial_id)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Report, and stop on all ranks if Optuna prunes the trial."""
        if TRIAL not in os.environ:
            return
        assert isinstance(pl_module, FlowModule)
        here = trainer.is_global_zero and self._is_hopeless(
            trainer.current_epoch, pl_module.scores[VALIDATION]
        )
        verdict = torch.tensor(int(here), device=pl_module.device)
        self.pruned: bool = bool(ranks.highest(verdict))
        trainer.should_stop = trainer.should_stop or self.pruned

    def _is_hopeless(self, epoch: int, value: float) -> bool:
        self.trial.report(value, epoch)
        if not self.trial.should_prune():
            return False
        self.folder.write_pruned(epoch=epoch, command=self.command)
        return True
