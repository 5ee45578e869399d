"""The engine of any flow: PyTorch's own gradients and optimisers."""

import math

from torch import Tensor
from torch.nn.utils import clip_grad_norm_
from torch.optim import Optimizer

from flowbench import ranks
from flowbench.data import Batch
from flowbench.nn import regularization
from flowbench.training.engines.base import Trained
from flowbench.training.optimization import build_optimizer
from flowbench.transforms import weighing

__all__ = ["Plain", "differentiate"]


class Plain:
    """Gradients by automatic differentiation; the optimiser of `training.optimizer`.

    Args:
        module: to be trained.
    """

    name = "plain"

    def __init__(self, module: Trained) -> None:
        self.module = module
        one_by_one = [parameter for group in module.flat.groups for parameter in group]
        tensors = module.flat.tensors if module.options.optimizer is None else one_by_one
        self.optimizer: Optimizer = build_optimizer(module.options, tensors, module.flat.names)

    def begin(self) -> None:
        """Make the gradients views of one tensor."""
        self.module.flat.attach_gradients()

    def gradient(self, batch: Batch) -> tuple[float, float]:
        """Set the gradients for a batch."""
        return differentiate(self.module, batch)

    def clip(self, longest: float | None) -> Tensor:
        """Shorten the gradients to a norm; returns that of before."""
        return clip_grad_norm_(self.module.flat.tensors, math.inf if longest is None else longest)


def differentiate(module: Trained, batch: Batch) -> tuple[float, float]:
    """Set the gradients for a batch by automatic differentiation."""
    for gradient in module.flat.gradients:
        gradient.zero_()
    with weighing(module.flow, batch.weight):
        log_likelihood = batch.mean(module.log_likelihood(batch))
    rows = len(batch.x)
    total = module.total(batch, log_likelihood.item() * rows)
    penalty = regularization(module.flow) if module.regularized else 0.0
    (penalty / ranks.size() - log_likelihood * (rows / total[1])).backward()
    return total
