"""An exponential moving average of the parameters, used in validation and checkpoints."""

from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from torch import Tensor

from flowbench.config.settings import Training
from flowbench.transforms import BatchNorm

__all__ = ["WeightAverage", "averages"]


class WeightAverage(Callback):
    r"""Validate, save and score w̄ ← d w̄ + (1 − d) w, averaged at every optimiser step.

    Validation and checkpoints use the average; training then continues with the parameters
    themselves, also in a resumed run. The average starts at the first step; at step t its decay
    is at most (1 + t) / (10 + t).

    Args:
        decay: d, between 0 and 1; the average covers about 1/(1 − d) steps.

    Raises:
        ValueError: d is out of range; or, when training starts, the flow has batch norms with
            running statistics.

    References:
        Polyak and Juditsky 1992; the early decay is that of TensorFlow's moving averages.
    """

    def __init__(self, decay: float) -> None:
        if not 0 < decay < 1:
            raise ValueError(f"training.ema={decay}: expected a number between 0 and 1")
        self.decay = decay
        self.steps = 0
        self.swapped = False
        self.other: list[Tensor] = []  # the average while training, the parameters otherwise

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Refuse running statistics, which are not those of the averaged parameters."""
        norms = [layer for layer in pl_module.modules() if isinstance(layer, BatchNorm)]
        if any(norm.statistics == "running" for norm in norms):
            raise ValueError(
                f"ema={self.decay} with batch_norm_statistics=running: these belong to the "
                "parameters, not to their average; use batch_norm_statistics=dataset"
            )

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Average after every optimiser step."""
        optimizer = trainer.optimizers[0]
        groups = [group for each in trainer.optimizers for group in each.param_groups]
        self.tensors: list[Tensor] = [t.data for group in groups for t in group["params"]]
        if not self.other:
            self.other = [tensor.clone() for tensor in self.tensors]
        self.other = [o.to(t.device) for o, t in zip(self.other, self.tensors, strict=True)]
        self.handle = optimizer.register_step_post_hook(lambda *_: self._update())

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Restore the parameters."""
        self._swap(average=False)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Use the average, before statistics are recomputed."""
        self._swap(average=True)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop averaging."""
        self.handle.remove()

    def state_dict(self) -> dict[str, Any]:
        """The average, for a resumed run."""
        return {"steps": self.steps, "swapped": self.swapped, "other": self.other}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a checkpoint."""
        self.__dict__.update(state_dict)

    @torch.no_grad()
    def _update(self) -> None:
        self.steps += 1
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        for average, tensor in zip(self.other, self.tensors, strict=True):
            average.lerp_(tensor, 1 - decay)

    @torch.no_grad()
    def _swap(self, *, average: bool) -> None:
        if self.swapped == average:
            return
        for other, tensor in zip(self.other, self.tensors, strict=True):
            waiting = tensor.clone()
            tensor.copy_(other)
            other.copy_(waiting)
        self.swapped: bool = average


def averages(training: Training) -> list[Callback]:
    """The callback for `training.ema`, if that is set."""
    return [] if training.ema is None else [WeightAverage(training.ema)]
