r"""The training path of an affine autoregressive layer, with its backward pass by hand.

A step of a small flow costs more in bookkeeping than in arithmetic. Here one autograd node holds a
whole layer: the masked network and u = (x − t) exp(−s), s = b tanh(s′ / b), log det = −Σ s. Units
run down the rows and the batch along the columns, in which products and slices are contiguous.

It gives first derivatives only. `MaskedAutoregressive` takes it in training mode, and wherever no
gradient is asked for; in evaluation mode autograd sees the plain operations.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeGuard

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from flowbench.nn import AutoregressiveNetwork
from flowbench.nn.options import ACTIVATIONS, Function

__all__ = ["applies", "inverse"]


class _Activation(NamedTuple):
    """An activation in place, and its gradient in place, given its output."""

    forward: Callable[[Tensor], Tensor]
    backward: Callable[[Tensor, Tensor], Tensor]


def _relu_backward(gradient: Tensor, output: Tensor) -> Tensor:
    return torch.ops.aten.threshold_backward.grad_input(gradient, output, 0, grad_input=gradient)


def _tanh_backward(gradient: Tensor, output: Tensor) -> Tensor:
    return torch.ops.aten.tanh_backward.grad_input(gradient, output, grad_input=gradient)


KNOWN: dict[Function, _Activation] = {
    ACTIVATIONS["linear"]: _Activation(lambda units: units, lambda gradient, output: gradient),
    ACTIVATIONS["relu"]: _Activation(torch.relu_, _relu_backward),
    ACTIVATIONS["tanh"]: _Activation(torch.tanh_, _tanh_backward),
}


class _Plan(NamedTuple):
    """What is no tensor with a gradient."""

    masks: list[Tensor]
    activation: _Activation
    bound: float | None


def applies(
    network: object, x: Tensor, context: Tensor | None
) -> TypeGuard[AutoregressiveNetwork]:
    """Whether this path computes what the network computes, in its present mode."""
    return (
        isinstance(network, AutoregressiveNetwork)
        and (network.training or not torch.is_grad_enabled())
        and network.activation in KNOWN
        and not network.residual
        and not network.dropout.p
        and not network.validate_args
        and x.ndim == 2
        and (context is None or context.shape[:-1] in ((), (1,), x.shape[:-1]))
        and x.dtype == network.layers[0].weight.dtype
    )


def inverse(
    network: AutoregressiveNetwork, bound: float | None, x: Tensor, context: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Data → noise through one layer, as `MaskedAutoregressive.inverse` with an `AffineMap`.

    Args:
        network: the conditioner, with two parameters per feature.
        bound: the soft bound of the log-scale, or None.
        x: `[rows, features]`.
        context: `[rows or 1, context_features]`, or None.

    Returns:
        The noise `[rows, features]` and log |det ∂u/∂x| `[rows]`.
    """
    layers: Any = network.layers
    plan = _Plan([layer.mask for layer in layers], KNOWN[network.activation], bound)
    weights = [layer.weight for layer in layers]
    biases = [layer.bias for layer in layers]
    if network.check_context(context) is not None:
        for index, layer in enumerate(network.context_layers):
            term, bias = layer(context), biases[index]
            biases[index] = term if bias is None else term + bias
    if not torch.is_grad_enabled():
        values = _forward(plan, x, weights, biases)
        return values.u.mT, values.log_det
    return _MaskedAffine.apply(plan, x, *weights, *biases)  # type: ignore[return-value]


class _Values(NamedTuple):
    """What the forward pass computes: its results, and what the backward pass needs."""

    u: Tensor
    log_det: Tensor
    scale: Tensor
    slope: Tensor | None
    units: list[Tensor]


def _forward(
    plan: _Plan, x: Tensor, weights: Sequence[Tensor], biases: Sequence[Tensor | None]
) -> _Values:
    depth = len(plan.masks)
    units = [x.mT]
    for index, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        above = _affine(weight, units[-1], bias)
        units.append(plan.activation.forward(above) if index + 1 < depth else above)
    shift, raw = units.pop().view(x.shape[1], 2, -1).unbind(1)
    slope = None if plan.bound is None else torch.tanh(raw / plan.bound)
    scale = -raw if slope is None else slope * -plan.bound  # type: ignore[operator]
    log_det = scale.sum(0)
    scale = scale.exp_()
    u = (units[0] - shift).mul_(scale)
    return _Values(u, log_det, scale, slope, units)


class _MaskedAffine(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, plan: _Plan, x: Tensor, *tensors: Any) -> tuple[Tensor, Tensor]:
        depth = len(plan.masks)
        weights, biases = tensors[:depth], tensors[depth:]
        values = _forward(plan, x, weights, biases)
        ctx.plan = plan
        ctx.shapes = [None if bias is None else bias.shape for bias in biases]
        ctx.save_for_backward(values.u, values.scale, values.slope, *values.units, *weights)
        return values.u.mT, values.log_det

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_u: Tensor, grad_log_det: Tensor) -> tuple[Any, ...]:
        plan: _Plan = ctx.plan
        depth = len(plan.masks)
        u, scale, slope, *saved = ctx.saved_tensors
        units, weights = saved[:depth], saved[depth:]
        gradient, grad_x = _affine_backward(grad_u.mT, grad_log_det, u, scale, slope)
        grad_weights: list[Tensor] = []
        grad_biases: list[Tensor | None] = []
        for index in reversed(range(depth)):
            grad_weights.append((gradient @ units[index].mT).mul_(plan.masks[index]))
            grad_biases.append(_bias_gradient(gradient, ctx.shapes[index]))
            gradient = weights[index].mT @ gradient
            if index:
                gradient = plan.activation.backward(gradient, units[index])
        grad_x += gradient
        return None, grad_x.mT, *reversed(grad_weights), *reversed(grad_biases)


def _affine(weight: Tensor, units: Tensor, bias: Tensor | None) -> Tensor:
    """W · units + bias; the bias is one per unit or, with a context, `[rows or 1, units]`."""
    if bias is None:
        return weight @ units
    return torch.addmm(bias.unsqueeze(-1) if bias.ndim == 1 else bias.mT, weight, units)


def _affine_backward(
    grad_u: Tensor, grad_log_det: Tensor, u: Tensor, scale: Tensor, slope: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Gradients of the network's output `[2 · features, rows]` and of x along the direct way."""
    output = torch.empty(len(u), 2, u.shape[1], dtype=u.dtype, device=u.device)
    grad_x = grad_u * scale
    torch.neg(grad_x, out=output[:, 0])
    grad_raw = torch.addcmul(grad_log_det, grad_u, u).neg_()
    if slope is not None:
        grad_raw.addcmul_(grad_raw, slope.square(), value=-1)
    output[:, 1] = grad_raw
    return output.flatten(0, 1), grad_x


def _bias_gradient(gradient: Tensor, shape: torch.Size | None) -> Tensor | None:
    if shape is None:
        return None
    return (
        gradient.mT
        if shape[0] == gradient.shape[1] and len(shape) == 2
        else gradient.sum(1).view(shape)
    )
