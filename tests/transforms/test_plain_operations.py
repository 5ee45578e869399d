"""The mask acts in every call, and autograd sees plain operations in either mode."""

import pytest
import torch
from torch import nn
from transform_layers import CONTEXT, autoregressive

from flowbench.transforms import AffineMap, BatchNorm

EXACT = {"rtol": 1e-10, "atol": 1e-10}


def layer_and_inputs(activation, bound, rows=7, **options):
    torch.manual_seed(0)
    layer = autoregressive(AffineMap(bound), activation=activation, **options).double()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.mul_(2)
    x = (3 * torch.randn(rows, 4).double()).requires_grad_()
    context = None
    if options.get("context_features"):
        context = torch.randn(rows, CONTEXT).double().requires_grad_()
    return layer, x, context


@pytest.mark.parametrize("activation", [None, "relu", "tanh"])
@pytest.mark.parametrize(
    "options",
    [{}, {"hidden_units": []}, {"use_bias": False}, {"context_features": CONTEXT}],
    ids=str,
)
def test_first_and_second_derivatives_are_those_of_finite_differences(activation, options):
    layer, x, context = layer_and_inputs(activation, 7.0, 3, **options)
    inputs = (x,) if context is None else (x, context)
    assert torch.autograd.gradcheck(layer.train().inverse, inputs)
    if activation == "tanh":  # a relu has no second derivative to check
        assert torch.autograd.gradgradcheck(layer.inverse, inputs)


def test_weights_outside_of_the_masks_stay_zero_in_training():
    layer, x, _ = layer_and_inputs("relu", 7.0)
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.1, weight_decay=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        u, log_det = layer.inverse(x.detach())
        (u.square().sum() - log_det.sum()).backward()
        optimizer.step()
    for linear in layer.conditioner.layers:
        assert not linear.weight[linear.mask == 0].any()
        assert linear.weight[linear.mask == 1].all()


def test_weights_outside_of_the_masks_do_not_act():
    layer, x, _ = layer_and_inputs("relu", 7.0)
    before = layer.inverse(x), layer.forward(x)
    with torch.no_grad():
        for linear in layer.conditioner.layers:
            linear.weight.add_(10 * (1 - linear.mask))
    for one, other in zip(before, (layer.inverse(x), layer.forward(x)), strict=True):
        torch.testing.assert_close(one, other, **EXACT)


@pytest.mark.parametrize("shape", [(6, 3), (2, 3, 3)])
def test_batch_norm_in_training_equals_its_formula(shape):
    torch.manual_seed(0)
    layer = BatchNorm(3).double().train()
    nn.init.normal_(layer.log_gamma)
    nn.init.normal_(layer.beta)
    x = torch.randn(shape).double().requires_grad_()
    variance, mean = torch.var_mean(x.reshape(-1, 3), 0, correction=0)
    scale = torch.exp(layer.log_gamma) / (variance + layer.epsilon).sqrt()
    u, log_det = layer.inverse(x)
    torch.testing.assert_close(u, (x - mean) * scale + layer.beta, **EXACT)
    torch.testing.assert_close(log_det, scale.log().sum().expand(shape[:-1]), **EXACT)
    assert torch.autograd.gradgradcheck(layer.inverse, x)
