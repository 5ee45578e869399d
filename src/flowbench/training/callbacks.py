"""Callbacks of every training: history, checkpoints with early stopping, progress bar."""

import csv
import sys
import time
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback, Checkpoint, ProgressBar
from torch import Tensor
from tqdm import tqdm

from flowbench.atomic_files import replacing
from flowbench.metrics import VALIDATION
from flowbench.training.checkpoint_files import best_state
from flowbench.training.flow_module import FlowModule, NonFiniteError

__all__ = ["BestAndLast", "EpochBar", "History"]

PACE = 5.0  # seconds between lines where there is no terminal


class History(Callback):
    """One row of metrics per epoch, in `metrics.csv`, in every checkpoint and in all loggers.

    Log-likelihoods are per row of the data, even if a row is one frame of a clip. Checkpoints
    contain the rows, so that a resumed run has each of them once, in the file and in loggers that
    start from scratch.

    Args:
        path: of the file, which is rewritten atomically after every epoch.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: list[dict[str, Any]] = []
        self.seconds_before = 0.0

    @property
    def seconds(self) -> float:
        """Time spent in training, earlier attempts included."""
        return self.seconds_before + time.monotonic() - self.started

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log the rows of an earlier attempt again, even if no epoch is left."""
        for row in self.rows:
            self._log(trainer, row)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock."""
        self.started: float = time.monotonic()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Record the epoch."""
        assert isinstance(pl_module, FlowModule)
        row = {
            "epoch": trainer.current_epoch,
            "step": pl_module.step,
            **pl_module.scores,
            "learning_rate": pl_module.current_learning_rate(),
            "gradient_norm": float(pl_module.gradient_norm),
            "seconds": round(self.seconds, 3),
        }
        self.rows.append(row)
        pl_module.log("seconds", row["seconds"], logger=False)
        self._log(trainer, row)
        if trainer.is_global_zero:
            self._write()

    def _log(self, trainer: pl.Trainer, row: dict[str, Any]) -> None:
        for logger in trainer.loggers:
            logger.log_metrics({k: v for k, v in row.items() if k != "step"}, step=row["step"])

    def _write(self) -> None:
        # not synced: every checkpoint has the rows too
        with replacing(self.path, durable=False) as part, part.open("w", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(self.rows[0]))
            writer.writeheader()
            writer.writerows(self.rows)

    def state_dict(self) -> dict[str, Any]:
        """The rows and the training time so far."""
        return {"rows": self.rows, "seconds": self.seconds}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue after the rows of a checkpoint."""
        self.rows = state_dict["rows"]
        self.seconds_before: float = state_dict["seconds"]


class BestAndLast(Checkpoint):
    """Checkpoints of the best and the last epoch, and early stopping.

    Both files are written atomically, `best.ckpt` (parameters only) before `last.ckpt` (all that
    exact resumption needs): after a kill between the two, one epoch is repeated.

    Args:
        best: path of the checkpoint with the highest validation log-likelihood.
        last: path of the newest checkpoint.
        patience: stop after this many epochs without a better one; None: never.
    """

    def __init__(self, *, best: Path, last: Path, patience: int | None) -> None:
        self.best = best
        self.last = last
        self.patience = patience
        self.best_value: float = -float("inf")
        self.best_epoch: int = -1
        self.epoch = -1

    @property
    def exhausted(self) -> bool:
        """Whether the patience has run out."""
        return self.patience is not None and self.epoch - self.best_epoch >= self.patience

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop at once if an earlier attempt had already stopped early."""
        stopped = any(one.stopped_epoch for one in trainer.early_stopping_callbacks)
        trainer.should_stop = trainer.should_stop or stopped or self.exhausted

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save, and stop if the patience has run out."""
        self.epoch: int = trainer.current_epoch
        assert isinstance(pl_module, FlowModule)
        value = pl_module.scores[VALIDATION]
        if value > self.best_value:
            self.best_value, self.best_epoch = value, self.epoch
            trainer.save_checkpoint(self.best, weights_only=True)
        trainer.save_checkpoint(self.last, weights_only=False)
        trainer.should_stop = trainer.should_stop or self.exhausted

    def best_state(self) -> dict[str, Tensor]:
        """The flow's state after the best epoch.

        Raises:
            NonFiniteError: no epoch had a finite validation log-likelihood.
            TimeoutError: there was no epoch.
            CheckpointError: its checkpoint is missing or unreadable.
        """
        if self.epoch < 0:
            raise TimeoutError("trainer.max_time ended before the first epoch; increase it")
        if self.best_epoch < 0:
            raise NonFiniteError(
                "no epoch had a finite validation log-likelihood: the flow overflows there; "
                "standardise the data, or lower model.log_scale_bound or the learning rate"
            )
        return best_state(self.best, epoch=self.best_epoch)

    def state_dict(self) -> dict[str, Any]:
        """The best epoch so far."""
        return {"best_value": self.best_value, "best_epoch": self.best_epoch, "epoch": self.epoch}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a checkpoint."""
        self.__dict__.update(state_dict)


class EpochBar(ProgressBar):
    """The progress of the training on stderr, with log-likelihoods in nats.

    In a terminal this is a bar; elsewhere one line per epoch, but at most one every few seconds.
    """

    def __init__(self) -> None:
        super().__init__()
        self.bar: tqdm | None = None
        self.line: str = ""
        self.printed: float = -float("inf")
        self._disabled = False

    def disable(self) -> None:
        """Show nothing (ranks other than 0)."""
        self._disabled = True

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Print where a resumed run continues."""
        if trainer.ckpt_path and not self._disabled:
            print(f"resuming at {_epoch(trainer)}", file=sys.stderr, flush=True)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begin the epoch."""
        if self._disabled or not sys.stderr.isatty():
            return
        if self.bar is None:
            self.bar = tqdm(unit=" batches", mininterval=0.2, dynamic_ncols=True, leave=True)
        self.bar.reset(total=int(self.total_train_batches))
        self.bar.set_description(_epoch(trainer), refresh=False)

    def on_train_batch_end(self, *args: Any, **kwargs: Any) -> None:
        """Count a batch."""
        if self.bar is not None:
            self.bar.update()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Show the log-likelihoods of the epoch."""
        assert isinstance(pl_module, FlowModule)
        shown = {_called(key): f"{value:.4f}" for key, value in pl_module.scores.items()}
        if self.bar is not None:
            self.bar.set_postfix(shown, refresh=False)
        elif not self._disabled:
            scores = ", ".join(f"{split} {value}" for split, value in shown.items())
            self.line = f"{_epoch(trainer)}: {scores}"
            if time.monotonic() - self.printed >= PACE:
                self._print()

    def on_train_end(self, *args: Any, **kwargs: Any) -> None:
        """Print the last epoch."""
        if self.bar is not None:
            self.bar.close()
        self._print()

    on_exception = on_train_end

    def _print(self) -> None:
        if self.line:
            print(self.line, file=sys.stderr, flush=True)
        self.line, self.printed = "", time.monotonic()


def _called(key: str) -> str:
    """The name of a score on screen: the split, of a log-likelihood."""
    split, _, what = key.partition("/")
    return split if what == "log_likelihood" else f"{split} {what}"


def _epoch(trainer: pl.Trainer) -> str:
    return f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}"
