"""The default Lightning module: a flow trained by maximum likelihood."""

import math
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.optim import Optimizer

from flowbench import ranks
from flowbench.config.settings import Training
from flowbench.data import Batch
from flowbench.flows import Flow
from flowbench.nn import MaskedLinear, constrain
from flowbench.training.diagnosis import first_non_finite
from flowbench.training.engines.choice import engine_for
from flowbench.training.engines.told import tell
from flowbench.training.flat import FlatParameters
from flowbench.training.flow_module import FlowModule, NonFiniteError
from flowbench.training.optimization import OptimizationError, steps_told

__all__ = ["MaximumLikelihood", "NonFiniteError"]


class MaximumLikelihood(FlowModule):
    r"""Minimise the mean negative log-likelihood −(1/n) Σ w log p(x | context), in nats.

    A training item is a list of minibatches, one optimiser step each, which spreads the overhead
    of the Trainer over all of them. If several ranks train together, each takes its share of every
    minibatch, and gradients are summed over the ranks: they equal those of a single process.
    Regularisers and constraints of the flow's networks are part of a step.

    For another objective, override `log_likelihood` or subclass `FlowModule`.

    Args:
        flow: the density.
        training: the settings of the section `training`.

    Raises:
        NonFiniteError: while training, at the first loss that is not finite; the message names
            step and layer.
    """

    takes_items: ClassVar[bool] = True
    training_score: ClassVar[str] = "train/log_likelihood"

    def __init__(self, flow: Flow, training: Training | None = None) -> None:
        super().__init__(flow, training)
        self.automatic_optimization = False
        masked = [layer for layer in flow.modules() if isinstance(layer, MaskedLinear)]
        self.regularized: bool = any(layer.regularized for layer in masked)
        self.constrained: bool = any(layer.constrained for layer in masked)
        self.gradient_norm = torch.zeros(())

    def configure_optimizers(self) -> Any:
        """The optimiser of the engine: Adam over all parameters in one tensor, or another one.

        Others get the parameters one by one, since they may depend on their shapes.
        """
        self.flat: FlatParameters = FlatParameters(self)
        counts = (self.steps_at_most, self.rows_per_step)
        self.arithmetic = engine_for(self, self._wanted_engine(), *counts)
        self.engine = self.arithmetic.name
        optimizer = self.arithmetic.optimizer
        if isinstance(optimizer, torch.optim.LBFGS):
            raise OptimizationError(
                "training.optimizer._target_=torch.optim.LBFGS evaluates the loss several times "
                "per step, which needs a module of your own (module._target_)"
            )
        return self.scheduled(optimizer)

    def log_likelihood(self, batch: Batch) -> Tensor:
        """The log-likelihood of every row, `[rows]`; a step maximises its mean."""
        return self.flow(batch.x, batch.context)

    def training_step(self, item: list[Batch], batch_idx: int) -> None:
        """One optimiser step per minibatch; an item of an earlier attempt is empty."""
        if not item:
            return
        optimizer = self.optimizers(use_pl_optimizer=False)
        assert isinstance(optimizer, Optimizer)
        self.arithmetic.begin()
        sums = [self._optimise(optimizer, self.noisy(batch)) for batch in item]
        self.engine: str = (
            self.arithmetic.name
        )  # the compiled one may turn out to be the plain one
        self._training += torch.tensor(sums, dtype=torch.float64).sum(0)

    def _optimise(self, optimizer: Optimizer, batch: Batch) -> tuple[float, float]:
        """One step; returns the sum of log-likelihoods over all ranks' rows, and their number."""
        total = self.arithmetic.gradient(batch)
        for gradient in self.flat.gradients:
            ranks.summed(gradient)
        self.gradient_norm: Tensor = self.arithmetic.clip(self.options.gradient_clip_norm)
        with steps_told("optimizer", self.options.optimizer):
            optimizer.step()
        if self.constrained:
            constrain(self.flow)
        if self.scheduler:
            with steps_told("schedule", self.options.schedule):
                self.scheduler.step()
        return total

    def total(self, batch: Batch, log_likelihood: float) -> tuple[float, float]:
        """The log-likelihood of a batch and its rows, each summed over all ranks.

        Raises:
            NonFiniteError: it is not finite.
        """
        total = (log_likelihood, float(len(batch.x)))
        if ranks.size() > 1:
            summed = self._summed(torch.tensor(total, dtype=torch.float64))
            total = (summed[0].item(), summed[1].item())
        if not math.isfinite(total[0]):
            self._fail(batch, here=not math.isfinite(log_likelihood))
        return total

    def _wanted_engine(self) -> str:
        """The engine to use if it can: the one that began the training, or the settings' own."""
        data = getattr(self._trainer, "datamodule", None)
        if data is not None and data.rows["train"].weight is not None:
            if self.options.engine not in ("auto", "plain"):
                tell(f"the {self.options.engine} engine does not know weights of rows")
            return "plain"
        return self.engine or (self.options.engine if type(self) is MaximumLikelihood else "plain")

    def _fail(self, batch: Batch, *, here: bool) -> None:
        if ranks.size() > 1:
            self.flow.eval()  # batch statistics would wait for the other ranks
        place = first_non_finite(self.flow, batch.x, batch.context) if here else ""
        place = next(filter(None, ranks.gathered(place)))
        raise NonFiniteError(
            f"step {self.step + 1}: the log-likelihood is not finite; first in {place}. "
            f"training.learning_rate={self.options.learning_rate} may be too large, or "
            "training.gradient_clip_norm too large or null"
        )
