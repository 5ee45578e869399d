"""The Lightning module: a flow trained by maximum likelihood."""

import math
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from flowbench import memory, ranks
from flowbench.config.limits import Schedule
from flowbench.data import Batch
from flowbench.flows import Flow
from flowbench.nn import MaskedLinear, constrain, regularization
from flowbench.training.diagnosis import first_non_finite
from flowbench.training.flat import FlatParameters
from flowbench.training.random_states import random_states, restore_random_states

__all__ = ["MaximumLikelihood", "NonFiniteError", "refuse_without_best"]


class NonFiniteError(ArithmeticError):
    """The loss is NaN or infinite; the sentence names step and layer."""


class MaximumLikelihood(pl.LightningModule):
    r"""Minimise the mean negative log-likelihood −(1/n) Σ log p(x | context), in nats.

    A training item is a list of minibatches, each one step of Adam; clipping, schedule and step
    count are the module's own, so that they mean optimiser steps whatever the Trainer counts.
    Where several ranks train together, each has its share of every minibatch, and gradients are
    added up over the ranks: they are those of one process with the whole of it.

    The position in the epoch is the module's own as well: a run that goes on from a checkpoint
    begins at the next item.

    Args:
        flow: the density, a `Flow` or any module whose call gives log-likelihoods.
        learning_rate: of Adam, at the first step.
        weight_decay: λ of the penalty ½ λ Σ w², over all parameters.
        noise: standard deviation of Gaussian noise added to the rows of every step, in model
            space; contexts, validation and test stay as they are.
        gradient_clip_norm: longest gradient (L2 norm) of a step; None does not clip.
        schedule: "constant", or "cosine": lr(t) = lr · ½ (1 + cos(π t / total_steps)).
        total_steps: steps of the whole training, for "cosine".
        saved: plain values that every checkpoint carries, for `flowbench.load`.

    Raises:
        NonFiniteError: while training, at the first loss that is not finite.
    """

    def __init__(
        self,
        flow: Flow,
        *,
        learning_rate: float = 1e-3,
        weight_decay: float = 0.0,
        noise: float = 0.0,
        gradient_clip_norm: float | None = None,
        schedule: Schedule = "constant",
        total_steps: int | None = None,
        saved: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.flow = flow
        masked = [layer for layer in flow.modules() if isinstance(layer, MaskedLinear)]
        self.regularized = any(layer.regularized for layer in masked)
        self.constrained = any(layer.constrained for layer in masked)
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.noise = noise
        self.gradient_clip_norm = math.inf if gradient_clip_norm is None else gradient_clip_norm
        self.schedule = schedule
        self.total_steps = total_steps
        self.saved = saved or {}
        self.step = 0
        self.gradient_norm = torch.zeros(())  # before clipping, of the latest step
        self.scores: dict[str, float] = {}
        self._position = {"epoch": 0, "item": 0}
        self._training = torch.zeros(2, dtype=torch.float64)  # sum over the epoch's rows, count
        self._validation = torch.zeros(2, dtype=torch.float64)
        self._random_states: list[dict[str, Any]] = []

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam over all parameters, in one tensor."""
        self.flat = FlatParameters(self.flow)
        return torch.optim.Adam(
            self.flat.tensors,
            lr=self.learning_rate,
            weight_decay=self.weight_decay,
            fused=True,
        )

    def current_learning_rate(self) -> float:
        """The learning rate of the next step."""
        if self.schedule == "constant" or self.total_steps is None:
            return self.learning_rate
        progress = min(1.0, self.step / self.total_steps)
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))

    def on_fit_start(self) -> None:
        """Keep the training rows on a CUDA device, where there is room: no batch is copied."""
        rows = self.trainer.datamodule.rows  # type: ignore[attr-defined]
        self._home = rows["train"]
        size = sum(part.nbytes for part in self._home.batch() if part is not None)
        if self.device.type == "cuda" and memory.fits(size, self.device):
            rows["train"] = self._home.to(self.device)

    def on_fit_end(self) -> None:
        """Have the training rows where they were, as they were last drawn."""
        rows = self.trainer.datamodule.rows  # type: ignore[attr-defined]
        self._home.x.copy_(rows["train"].x)
        rows["train"] = self._home

    def on_train_start(self) -> None:
        """Go on with the random numbers of the checkpoint, or draw others on each rank."""
        rank = ranks.rank()
        if rank < len(self._random_states):
            restore_random_states(self._random_states[rank])
        elif rank:
            torch.manual_seed(torch.initial_seed() + rank)

    def on_train_epoch_start(self) -> None:
        """Shuffle by the number of the epoch, and pass over what was done of it."""
        self.trainer.train_dataloader.load_state_dict(self._position)  # type: ignore[union-attr]

    def training_step(self, item: list[Batch], batch_idx: int) -> None:
        """One optimiser step per minibatch; an item of an earlier attempt is empty."""
        if not item:
            return
        optimizer = self.optimizers(use_pl_optimizer=False)
        assert isinstance(optimizer, torch.optim.Optimizer)
        self.flat.attach_gradients()  # the Trainer releases gradients before it validates
        for batch in item:
            self._training += self._optimise(optimizer, batch)
            self.step += 1
        self._position["item"] = batch_idx + 1

    def _optimise(self, optimizer: torch.optim.Optimizer, batch: Batch) -> Tensor:
        """One step; gives the sum of log-likelihoods over all ranks' rows and their number."""
        optimizer.param_groups[0]["lr"] = self.current_learning_rate()
        optimizer.zero_grad(set_to_none=False)
        if self.noise:
            batch = batch._replace(x=batch.x + self.noise * torch.randn_like(batch.x))
        log_likelihood = self.flow(batch.x, batch.context).mean()
        rows = len(batch.x)
        local = torch.tensor([log_likelihood.item() * rows, rows], dtype=torch.float64)
        total = self._summed(local)
        if not total.isfinite().all():
            self._fail(batch, here=not local.isfinite().all())
        share = rows / total[1].item()
        penalty = regularization(self.flow) if self.regularized else 0.0
        (penalty / ranks.size() - log_likelihood * share).backward()
        for gradient in self.flat.gradients:
            ranks.summed(gradient)
        self.gradient_norm = clip_grad_norm_(self.flat.tensors, self.gradient_clip_norm)
        optimizer.step()
        if self.constrained:
            constrain(self.flow)
        return total

    def _summed(self, local: Tensor) -> Tensor:
        return ranks.summed(local.to(self.device, copy=True)).cpu() if ranks.size() > 1 else local

    def _fail(self, batch: Batch, *, here: bool) -> None:
        if ranks.size() > 1:
            self.flow.eval()  # batch statistics would wait for the other ranks
        place = first_non_finite(self.flow, batch.x, batch.context) if here else ""
        place = next(filter(None, ranks.gathered(place)))
        raise NonFiniteError(
            f"step {self.step + 1}: the log-likelihood is not finite; first in {place}. "
            f"training.learning_rate={self.learning_rate} may be too large, or "
            "training.gradient_clip_norm too large or null"
        )

    def on_validation_start(self) -> None:
        """Replace the statistics of batch norms by those of the whole training set."""
        self._validation.zero_()
        rows = self.trainer.datamodule.rows["train"].share()  # type: ignore[attr-defined]
        self.flow.recompute_statistics(*rows.batch())

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Add up log-likelihoods of validation rows, for the exact mean."""
        terms = self.flow(batch.x, batch.context).cpu().double()  # not all devices have float64
        self._validation += torch.stack([terms.sum(), terms.new_tensor(len(terms))])

    def on_validation_epoch_end(self) -> None:
        """The means over all rows: of training as the epoch went, of validation now."""
        sums = {"train": self._training, "val": self._summed(self._validation)}
        self.scores = {
            f"{split}/log_likelihood": (total / count).item()
            for split, (total, count) in sums.items()
        }

    def on_train_epoch_end(self) -> None:
        """The next epoch begins at its first item."""
        self._position = {"epoch": self.current_epoch + 1, "item": 0}
        self._training.zero_()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what the density and an exact resumption need; plain values and tensors only."""
        checkpoint["flowbench"] = self.saved
        checkpoint["progress"] = {
            "step": self.step,
            "gradient_norm": self.gradient_norm.item(),
            "position": dict(self._position),
            "training": self._training.tolist(),
        }
        checkpoint["random_states"] = ranks.gathered(random_states())
        del checkpoint["loops"]  # the Trainer's own position, in place of which is ours

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take back the position and the random states."""
        self.step = checkpoint["progress"]["step"]
        self.gradient_norm = torch.tensor(checkpoint["progress"]["gradient_norm"])
        self._position = checkpoint["progress"]["position"]
        self._training = torch.tensor(checkpoint["progress"]["training"], dtype=torch.float64)
        self._random_states = checkpoint["random_states"]
        epochs = self.trainer.fit_loop.epoch_progress.current
        epochs.processed = epochs.completed = self._position["epoch"]  # type: ignore[attr-defined]


def refuse_without_best(*, epochs: int) -> None:
    """Say why a training has left no best epoch.

    Raises:
        NonFiniteError: none of its epochs had a finite validation log-likelihood.
        TimeoutError: it had no epoch.
    """
    if not epochs:
        raise TimeoutError("trainer.max_time was over before the first epoch; give more")
    raise NonFiniteError(
        "no epoch had a finite validation log-likelihood: the flow overflows there; "
        "standardise the data, or lower model.log_scale_bound or the learning rate"
    )
