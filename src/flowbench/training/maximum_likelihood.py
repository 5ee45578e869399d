"""The Lightning module: a flow trained by maximum likelihood."""

import math
from typing import Any, Literal

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from flowbench.data import Batch
from flowbench.flows import Flow
from flowbench.nn import constrain, regularization
from flowbench.training.diagnosis import first_non_finite
from flowbench.training.flat import FlatParameters

__all__ = ["MaximumLikelihood", "NonFiniteError", "Schedule"]

Schedule = Literal["constant", "cosine"]


class NonFiniteError(ArithmeticError):
    """The loss is NaN or infinite; the sentence names step and layer."""


class MaximumLikelihood(pl.LightningModule):
    r"""Minimise the mean negative log-likelihood −(1/n) Σ log p(x | context), in nats.

    A training item is a list of minibatches, each one step of Adam; clipping, schedule and step
    count are the module's own, so that they mean optimiser steps whatever the Trainer counts.

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
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.noise = noise
        self.gradient_clip_norm = math.inf if gradient_clip_norm is None else gradient_clip_norm
        self.schedule = schedule
        self.total_steps = total_steps
        self.saved = saved or {}
        self.step = 0
        self._validation: list[Tensor] = []
        self._random_state: Tensor | None = None

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

    def on_train_start(self) -> None:
        """Go on with the random numbers of the checkpoint, if there is one."""
        if self._random_state is not None:
            torch.set_rng_state(self._random_state.cpu())

    def on_train_epoch_start(self) -> None:
        """Shuffle by the number of the epoch, also after a resumption."""
        self.trainer.train_dataloader.set_epoch(self.current_epoch)  # type: ignore[union-attr]

    def training_step(self, item: list[Batch], batch_idx: int) -> None:
        """One optimiser step per minibatch."""
        optimizer = self.optimizers(use_pl_optimizer=False)
        assert isinstance(optimizer, torch.optim.Optimizer)
        self.flat.attach_gradients()  # the Trainer releases gradients before it validates
        total, rows = 0.0, 0
        for batch in item:
            total += self._optimise(optimizer, batch) * len(batch.x)
            rows += len(batch.x)
        self.log(
            "train/log_likelihood",
            total / rows,
            on_step=False,
            on_epoch=True,
            batch_size=rows,
            logger=False,
        )

    def _optimise(self, optimizer: torch.optim.Optimizer, batch: Batch) -> float:
        optimizer.param_groups[0]["lr"] = self.current_learning_rate()
        optimizer.zero_grad(set_to_none=False)
        if self.noise:
            batch = batch._replace(x=batch.x + self.noise * torch.randn_like(batch.x))
        log_likelihood = self.flow(batch.x, batch.context).mean()
        value = log_likelihood.item()
        if not math.isfinite(value):
            self._fail(batch)
        self.manual_backward(regularization(self.flow) - log_likelihood)
        self.gradient_norm = clip_grad_norm_(self.flat.tensors, self.gradient_clip_norm)
        optimizer.step()
        constrain(self.flow)
        self.step += 1
        return value

    def _fail(self, batch: Batch) -> None:
        place = first_non_finite(self.flow, batch.x, batch.context)
        raise NonFiniteError(
            f"step {self.step + 1}: the log-likelihood is not finite; first in {place}. "
            f"training.learning_rate={self.learning_rate} may be too large, or "
            "training.gradient_clip_norm too large or null"
        )

    def on_validation_start(self) -> None:
        """Replace the statistics of batch norms by those of the whole training set."""
        self._validation = []
        rows = self.trainer.datamodule.rows["train"]  # type: ignore[attr-defined]
        self.flow.recompute_statistics(rows.x, rows.context)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Log-likelihoods of validation rows, kept for the exact mean."""
        self._validation.append(self.flow(batch.x, batch.context).double())

    def on_validation_epoch_end(self) -> None:
        """The exact mean over all validation rows."""
        self.log("val/log_likelihood", torch.cat(self._validation).mean(), logger=False)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what the density and an exact resumption need; plain values and tensors only."""
        checkpoint["flowbench"] = self.saved
        checkpoint["step"] = self.step
        checkpoint["random_state"] = torch.get_rng_state()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take back the step count and the random state."""
        self.step = checkpoint["step"]
        self._random_state = checkpoint["random_state"]
