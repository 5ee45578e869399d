"""The training path by hand equals what autograd makes of the plain operations."""

import pytest
import torch
from transform_layers import CONTEXT, autoregressive

from flowbench.transforms import AffineMap, BatchNorm, fused

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


def values_and_gradients(layer, x, context):
    u, log_det = layer.inverse(x, context)
    loss = (u.square() * torch.arange(1.0, 5.0)).sum() + (log_det * log_det.detach().cos()).sum()
    wanted = [x, *layer.parameters()] if context is None else [x, context, *layer.parameters()]
    return [u, log_det, *torch.autograd.grad(loss, wanted)]


@pytest.mark.parametrize("activation", [None, "relu", "tanh"])
@pytest.mark.parametrize("bound", [None, 7.0, 0.5])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"hidden_units": []},
        {"hidden_units": [2]},
        {"use_bias": False},
        {"context_features": CONTEXT},
        {"context_features": CONTEXT, "conditional_input_layers": "first_layer"},
        {"context_features": CONTEXT, "use_bias": False, "hidden_units": []},
    ],
    ids=str,
)
def test_training_path_equals_the_plain_one(activation, bound, options):
    layer, x, context = layer_and_inputs(activation, bound, **options)
    assert fused.applies(layer.conditioner, x, context)
    by_hand = values_and_gradients(layer.train(), x, context)
    plain = values_and_gradients(layer.eval(), x, context)
    for one, other in zip(by_hand, plain, strict=True):
        torch.testing.assert_close(one, other, **EXACT)


@pytest.mark.parametrize("rows", [1, 4])
@pytest.mark.parametrize("shape", [(CONTEXT,), (1, CONTEXT)])
def test_one_context_for_all_rows(rows, shape):
    layer, x, _ = layer_and_inputs("relu", 7.0, rows, context_features=CONTEXT)
    context = torch.randn(shape).double().requires_grad_()
    assert fused.applies(layer.conditioner, x, context)
    by_hand = values_and_gradients(layer.train(), x, context)
    plain = values_and_gradients(layer.eval(), x, context)
    for one, other in zip(by_hand, plain, strict=True):
        torch.testing.assert_close(one, other, **EXACT)


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


def test_gradients_are_those_of_finite_differences():
    layer, x, _ = layer_and_inputs("tanh", 7.0, 3)
    assert torch.autograd.gradcheck(layer.train().inverse, x)


def test_batch_norm_in_training_equals_its_formula():
    torch.manual_seed(0)
    layer = BatchNorm(3).double().train()
    torch.nn.init.normal_(layer.log_gamma)
    torch.nn.init.normal_(layer.beta)
    x = torch.randn(6, 3).double().requires_grad_()
    variance, mean = torch.var_mean(x, 0, correction=0)
    scale = torch.exp(layer.log_gamma) / (variance + layer.epsilon).sqrt()
    expected = ((x - mean) * scale + layer.beta, scale.log().sum().expand(6))
    actual = layer.inverse(x)
    weights = torch.randn(6, 3).double(), torch.randn(6).double()
    wanted = [x, layer.log_gamma, layer.beta]
    gradients = [
        torch.autograd.grad(outputs, wanted, weights, retain_graph=True)
        for outputs in (actual, expected)
    ]
    for one, other in zip((*actual, *gradients[0]), (*expected, *gradients[1]), strict=True):
        torch.testing.assert_close(one, other, **EXACT)
    assert torch.autograd.gradcheck(layer.inverse, x)
