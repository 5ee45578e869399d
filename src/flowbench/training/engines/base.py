"""What an engine replaces: loss and gradient of a step, and the arithmetic of the optimiser."""

from typing import Protocol

from torch import Tensor
from torch.optim import Optimizer

from flowbench.config.settings import Training
from flowbench.data import Batch
from flowbench.flows import Flow
from flowbench.training.flat import FlatParameters

__all__ = ["Engine", "Trained"]


class Trained(Protocol):
    """What an engine knows of the Lightning module that it trains."""

    flow: Flow
    flat: FlatParameters
    options: Training
    regularized: bool

    def log_likelihood(self, batch: Batch) -> Tensor:
        """The log-likelihood of every row."""
        ...

    def total(self, batch: Batch, log_likelihood: float) -> tuple[float, float]:
        """Log-likelihood and number of rows, summed over all ranks; refuses what is not finite."""
        ...


class Engine(Protocol):
    """Everything else of a step is the module's: ranks, schedule, constraints, counting.

    Attributes:
        name: as in `training.engine`.
        optimizer: its state dict does not depend on the engine.
    """

    name: str

    @property
    def optimizer(self) -> Optimizer:
        """The optimiser of the flat parameters."""
        ...

    def begin(self) -> None:
        """Prepare for some steps; the Trainer may have released gradients before them."""
        ...

    def gradient(self, batch: Batch) -> tuple[float, float]:
        """Set the flat gradients to those of −Σ log p / rows, rows counted over all ranks.

        Returns:
            As `Trained.total`.
        """
        ...

    def clip(self, longest: float | None) -> Tensor:
        """Shorten the gradients of the next step to this norm; returns that of before."""
        ...
