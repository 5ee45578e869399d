"""The Lightning module of a flow: everything but the training step."""

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from flowbench import memory, ranks
from flowbench.config.settings import Training
from flowbench.data import Batch, DataModule
from flowbench.flows import Flow
from flowbench.metrics import VALIDATION
from flowbench.stored import refuse_other_tensors
from flowbench.training.optimization import (
    CosineAnnealing,
    OptimizationError,
    build_optimizer,
    build_scheduler,
)
from flowbench.training.random_states import random_states, restore_random_states
from flowbench.transforms.weighted_rows import on_rows

__all__ = ["FlowModule", "NonFiniteError", "is_trainable"]


class NonFiniteError(ArithmeticError):
    """The loss is NaN or infinite."""


class FlowModule(pl.LightningModule):
    """A flow in training; a subclass defines `training_step`, as in any LightningModule.

    `training_step(batch, batch_idx)` is given a minibatch with `batch.x` `[rows, features]` in
    model space, `batch.context` `[rows, context_features]` or None and `batch.weight` `[rows]` or
    None (`batch.mean(terms)` is the mean that counts them), and returns a loss. The
    Trainer then takes one step of the optimiser: automatic optimisation is Lightning's own, so
    that several devices average their gradients. All hooks of a LightningModule may be
    overridden; call `super()` in those that are defined here.

    This class builds the optimiser and the schedule that `training` asks for, clips
    gradients, refuses a loss that is not finite, validates by the exact mean log-likelihood after
    recomputing batch-norm statistics over all training rows, and saves what
    `flowbench.load` and exact resumption need.

    Args:
        flow: the density.
        training: the settings of the section `training`.

    Attributes:
        step: optimiser steps so far, of the first optimiser if there are several; the Trainer's
            `global_step` follows it.
        scores: of the latest epoch, `train/…` and `val/log_likelihood`.
        gradient_norm: of the latest step, before clipping.
        engine: what computes the steps, as in `training.engine`.
        saved: plain values in every checkpoint, for `flowbench.load`.

    Raises:
        ValueError: noise is asked for, and the flow is discrete.
        NonFiniteError: while training, at the first loss that is not finite.

    Example:
        class Reweighted(FlowModule):
            def training_step(self, batch, batch_idx):
                log_prob = self.flow(batch.x, batch.context)
                return -(log_prob * log_prob.detach().neg().softmax(0)).sum()
    """

    takes_items: ClassVar[bool] = False  # whether a training item is a list of minibatches
    training_score: ClassVar[str] = "train/loss"

    def __init__(self, flow: Flow, training: Training | None = None) -> None:
        super().__init__()
        self.flow = flow
        self.options: Training = Training() if training is None else training
        if self.options.noise and getattr(flow, "discrete", False):
            raise ValueError(
                f"training.noise={self.options.noise} is added to values that must be 0 or 1 for "
                f"{type(flow).__name__}, a discrete distribution: expected training.noise=0"
            )
        self.saved: dict[str, Any] = {}
        self._step = 0
        self.engine = ""  # not chosen yet
        self.gradient_norm = torch.tensor(math.nan)
        self.scores: dict[str, float] = {}
        self.annealing: CosineAnnealing | None = None
        self.scheduler: LRScheduler | None = None
        self._start = {"epoch": 0, "item": 0}  # where this attempt begins
        self._training = torch.zeros(2, dtype=torch.float64)  # sum over the epoch, count
        self._validation = torch.zeros(2, dtype=torch.float64)
        self._random_states: list[dict[str, Any]] = []

    @property
    def step(self) -> int:
        """Optimiser steps so far."""
        return self._step

    @step.setter
    def step(self, step: int) -> None:
        self._step = step
        if not self.automatic_optimization:  # else the Trainer counts
            self._tell_trainer()

    def _tell_trainer(self) -> None:
        """Let the Trainer, its callbacks and its loggers count the same steps."""
        loop = self.trainer.fit_loop.epoch_loop
        loop._batches_that_stepped = self.step - 1  # the Trainer adds one after every item
        for progress in (
            loop.manual_optimization.optim_step_progress.total,
            loop.automatic_optimization.optim_progress.optimizer.step.total,
        ):
            progress.ready = progress.completed = self.step

    def configure_optimizers(self) -> Any:
        """The optimiser and the schedule of `training`, stepped together."""
        names = {one: name for name, one in self.named_parameters() if one.requires_grad}
        return self.scheduled(build_optimizer(self.options, [*names], names))

    def scheduled(self, optimizer: Optimizer) -> Any:
        """An optimiser with the schedule of `training`, as `configure_optimizers` returns it."""
        schedule = self.options.schedule
        if schedule == "cosine":
            self.annealing = CosineAnnealing(
                optimizer, total_steps=self.steps_at_most(), step=lambda: self.step
            )
        if isinstance(schedule, str):
            return optimizer
        self.scheduler = build_scheduler(schedule, optimizer)
        return [optimizer], [{"scheduler": self.scheduler, "interval": "step"}]

    def steps_at_most(self) -> int:
        """The steps of the whole training, if it does not stop early."""
        loader = self.trainer.datamodule.train_dataloader()  # type: ignore[attr-defined]
        assert self.trainer.max_epochs is not None
        return self.trainer.max_epochs * loader.steps

    def rows_per_step(self) -> int:
        """The rows of a minibatch in this process, the last one of an epoch aside."""
        loader = self.trainer.datamodule.train_dataloader()  # type: ignore[attr-defined]
        rows = len(loader.rows) if loader.steps == 1 else loader.batch_size
        return len(range(ranks.rank(), rows, ranks.size()))

    def lr_scheduler_step(self, scheduler: Any, metric: Any) -> None:
        """Step the schedule, unless an earlier attempt has done so."""
        if self._is_ahead():
            try:
                super().lr_scheduler_step(scheduler, metric)
            except (ArithmeticError, TypeError, ValueError) as error:
                raise OptimizationError(
                    f"training.schedule: {type(scheduler).__name__} cannot step: {error}"
                ) from error

    def current_learning_rate(self) -> float:
        """The learning rate of the next step."""
        if self.annealing:
            self.annealing.set()
        return float(self.trainer.optimizers[0].param_groups[0]["lr"])

    def noisy(self, batch: Batch) -> Batch:
        """The batch with the noise of `training.noise` added to its rows."""
        noise = self.options.noise
        return batch._replace(x=batch.x + noise * torch.randn_like(batch.x)) if noise else batch

    def on_fit_start(self) -> None:
        """Move the training rows to a CUDA device if they fit, so that no batch is copied."""
        data: DataModule = self.trainer.datamodule  # type: ignore[attr-defined]
        self._steps_per_item = data.steps_per_item
        if self.takes_items:
            self.trainer.log_every_n_steps = 1  # type: ignore[attr-defined]  # once per item
        else:
            data.steps_per_item = None
        rows = data.rows
        self._home = rows["train"]
        size = sum(part.nbytes for part in self._home.batch() if part is not None)
        if self.device.type == "cuda" and memory.fits(size, self.device):
            rows["train"] = self._home.to(self.device)

    def on_fit_end(self) -> None:
        """Move the training rows back, as they were last drawn."""
        data: DataModule = self.trainer.datamodule  # type: ignore[attr-defined]
        data.steps_per_item = self._steps_per_item
        self._home.x.copy_(data.rows["train"].x)
        data.rows["train"] = self._home

    def on_train_start(self) -> None:
        """Count steps; restore the random states of the checkpoint, or seed each rank apart."""
        self.trainer.optimizers[0].register_step_post_hook(lambda *_: self._count())
        rank = ranks.rank()
        if rank < len(self._random_states):
            restore_random_states(self._random_states[rank])
        elif rank:
            torch.manual_seed(torch.initial_seed() + rank)

    def _count(self) -> None:
        self.step += 1

    def on_train_epoch_start(self) -> None:
        """Shuffle by the number of the epoch, and skip items of it that are done."""
        epoch = self.current_epoch
        item = self._start["item"] if epoch == self._start["epoch"] else 0
        loader: Any = self.trainer.train_dataloader
        loader.load_state_dict({"epoch": epoch, "item": item})

    def on_before_backward(self, loss: Tensor) -> None:
        """Add up the losses, and refuse one that is not finite, on all ranks together."""
        one = torch.stack([loss.detach().cpu().double(), torch.ones((), dtype=torch.float64)])
        total = self._summed(one)
        if not total.isfinite().all():
            raise NonFiniteError(
                f"step {self.step + 1}: the loss is not finite. training.learning_rate="
                f"{self.options.learning_rate} may be too large, or "
                "training.gradient_clip_norm too large or null"
            )
        self._training += total

    def configure_gradient_clipping(self, optimizer: Optimizer, *_: Any, **__: Any) -> None:
        """Clip by `training.gradient_clip_norm`."""
        groups = optimizer.param_groups
        self._clip([parameter for group in groups for parameter in group["params"]])

    def _clip(self, parameters: Sequence[Tensor]) -> None:
        longest = self.options.gradient_clip_norm
        self.gradient_norm = clip_grad_norm_(parameters, math.inf if longest is None else longest)

    def on_validation_model_eval(self) -> None:
        """Nothing yet: the modes tell `on_validation_start` what is frozen."""

    def on_validation_start(self) -> None:
        """Recompute batch-norm statistics over the whole training set."""
        self._validation.zero_()
        rows = self.trainer.datamodule.rows["train"].share()  # type: ignore[attr-defined]
        on_rows(self.flow.recompute_statistics, rows.x, rows.context, rows.weight)
        self.trainer.model.eval()  # type: ignore[union-attr]

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Add up log-likelihoods of validation rows, for the exact mean."""
        terms = self.flow(batch.x, batch.context).cpu().double()  # not all devices have float64
        counts = torch.ones_like(terms) if batch.weight is None else batch.weight.cpu().double()
        self._validation += torch.stack([(counts * terms).sum(), counts.sum()])

    def on_validation_epoch_end(self) -> None:
        """Means over the epoch's training steps and over all validation rows."""
        sums = {self.training_score: self._training}
        sums |= {VALIDATION: self._summed(self._validation)}
        self.scores = {name: (total / count).item() for name, (total, count) in sums.items()}
        rate, norm = self.current_learning_rate(), float(self.gradient_norm)
        monitored = {**self.scores, "learning_rate": rate, "gradient_norm": norm}
        self.log_dict(monitored, logger=False)  # `History` logs them

    def on_train_epoch_end(self) -> None:
        """Reset the sums."""
        self._training.zero_()

    def _summed(self, local: Tensor) -> Tensor:
        return ranks.summed(local.to(self.device, copy=True)).cpu() if ranks.size() > 1 else local

    def _is_ahead(self) -> bool:
        """Whether the current item was not done by an earlier attempt."""
        loop = self.trainer.fit_loop.epoch_loop
        return self.current_epoch > self._start["epoch"] or loop.batch_idx >= self._start["item"]

    def _position(self) -> dict[str, int]:
        """The epoch, and the number of its items that are done."""
        epochs: Any = self.trainer.fit_loop.epoch_progress.current
        if epochs.processed > epochs.completed:  # at the end of an epoch
            return {"epoch": epochs.processed, "item": 0}
        items: Any = self.trainer.fit_loop.epoch_loop.batch_progress.current
        before = self._start["item"] if epochs.completed == self._start["epoch"] else 0
        return {"epoch": epochs.completed, "item": max(items.processed, before)}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what `flowbench.load` and exact resumption need; plain values and tensors only."""
        checkpoint["flowbench"] = self.saved
        checkpoint["progress"] = {
            "step": self.step,
            "engine": self.engine or "plain",
            "gradient_norm": self.gradient_norm.item(),
            "position": self._position(),
            "training": self._training.tolist(),
        }
        checkpoint["random_states"] = ranks.gathered(random_states())
        del checkpoint["loops"]  # the Trainer's own position, replaced by ours

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restore the position and the random states.

        Raises:
            CheckpointError: its tensors are those of another module.
        """
        refuse_other_tensors(self.state_dict(), checkpoint["state_dict"])
        progress = checkpoint["progress"]
        self._step = progress["step"]
        self._tell_trainer()
        self.engine: str = progress.get("engine", "plain")
        self.gradient_norm: Tensor = torch.tensor(progress["gradient_norm"])
        self._start = progress["position"]
        self._training = torch.tensor(progress["training"], dtype=torch.float64)
        self._random_states = checkpoint["random_states"]
        loop = self.trainer.fit_loop
        if self.automatic_optimization:  # used by `self.log`; skipped items count too
            loop.epoch_loop._batches_that_stepped = self.step - self._start["item"]
        epochs: Any = loop.epoch_progress.current
        epochs.processed = epochs.completed = self._start["epoch"]


def is_trainable(module: FlowModule) -> bool:
    """Whether there are parameters to train; a flow fitted in closed form has none."""
    return any(parameter.requires_grad for parameter in module.parameters())
