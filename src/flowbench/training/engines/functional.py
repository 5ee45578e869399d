"""A training step as a function without side effects, which can be compiled and vectorised."""

from collections.abc import Callable
from types import FunctionType
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value

from flowbench.flows import Flow
from flowbench.nn import regularization
from flowbench.training.engines.base import Trained

__all__ = ["Differentiated", "Inputs", "function_of", "inputs_of"]

Named = dict[str, Tensor]
Objective = tuple[Tensor, tuple[Tensor, Named]]


class Inputs(NamedTuple):
    """What a step depends on besides the batch.

    Attributes:
        flat: the trained parameters, one tensor per dtype.
        state: buffers that a step may change, such as running statistics.
        fixed: all other tensors, such as masks.
    """

    flat: list[Tensor]
    state: Named
    fixed: Named


class Differentiated(NamedTuple):
    """What a step gives.

    Attributes:
        log_likelihood: the mean over the rows.
        gradients: of the objective, one tensor per flat tensor.
        state: the new values of `Inputs.state`.
    """

    log_likelihood: Tensor
    gradients: list[Tensor]
    state: Named


class _Objective(nn.Module):
    def __init__(self, flow: Flow, *, regularized: bool) -> None:
        super().__init__()
        self.flow = flow
        self.regularized = regularized

    def forward(self, x: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        """What is minimised, and the mean log-likelihood."""
        log_likelihood = self.flow(x, context).mean()
        penalty = regularization(self.flow) if self.regularized else 0.0
        return penalty - log_likelihood, log_likelihood


def inputs_of(module: Trained) -> Inputs:
    """The present inputs of a module's steps; they share its memory."""
    named = dict(_Objective(module.flow, regularized=False).named_buffers())
    saved = {f"flow.{name}" for name in module.flow.state_dict()}
    state = {name: one for name, one in named.items() if name in saved}
    trained = {parameter for group in module.flat.groups for parameter in group}
    fixed = {name: one for name, one in named.items() if name not in saved}
    for name, parameter in module.flow.named_parameters():
        if parameter not in trained:
            fixed[f"flow.{name}"] = parameter.detach()
    return Inputs([flat.detach() for flat in module.flat.tensors], state, fixed)


def function_of(
    module: Trained, flow: Flow | None = None
) -> Callable[[Inputs, Tensor, Tensor | None], Differentiated]:
    """The step of a module, as a function of all the tensors that it reads.

    Args:
        module: to be trained.
        flow: that computes it; None: that of the module.

    Example:
        >>> from flowbench.flows import MADE
        >>> from flowbench.training.flat import FlatParameters
        >>> from flowbench.training.maximum_likelihood import MaximumLikelihood
        >>> module = MaximumLikelihood(MADE(2))
        >>> module.flat = FlatParameters(module)
        >>> found = function_of(module)(inputs_of(module), torch.zeros(5, 2), None)
        >>> found.gradients[0].shape == module.flat.tensors[0].shape
        True
    """
    objective = _Objective(flow or module.flow, regularized=module.regularized)
    names = {one: f"flow.{name}" for name, one in module.flow.named_parameters()}
    layout = [[(names[one], one.shape) for one in group] for group in module.flat.groups]
    sizes = [[one.numel() for one in group] for group in module.flat.groups]

    def function(inputs: Inputs, x: Tensor, context: Tensor | None) -> Differentiated:
        parameters = {
            name: part.view(shape)
            for flat, group, size in zip(inputs.flat, layout, sizes, strict=True)
            for part, (name, shape) in zip(flat.split(size), group, strict=True)
        }

        def objective_of(parameters: Named) -> Objective:
            state = {name: one.clone() for name, one in inputs.state.items()}
            tensors = (parameters, state, inputs.fixed)
            loss, log_likelihood = functional_call(objective, tensors, (x, context))
            return loss, (log_likelihood, state)

        differentiated = grad_and_value(objective_of, has_aux=True)(parameters)
        gradients, (_, (log_likelihood, state)) = differentiated
        flat = [torch.cat([gradients[name].flatten() for name, _ in group]) for group in layout]
        return Differentiated(log_likelihood, flat, state)

    # torch.compile keeps few programs per code object: each training has one of its own
    code = function.__code__.replace()
    return FunctionType(code, function.__globals__, closure=function.__closure__)
