"""Masked convolutions: what depends on what, and generation at the cost of one pass."""

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from flowbench.nn import ConvolutionalNetwork
from flowbench.nn.raster import generate

SMALL = {"units": 6, "inner_units": 6, "blocks": 2, "first_kernel": 5, "activation": "tanh"}
NETWORKS = {
    "grey": ((4, 5, 1), {}),
    "one line": ((1, 7, 1), {}),
    "colour": ((3, 3, 3), {"units": 7, "inner_units": 4}),
    "gated": ((3, 4, 2), {"gated": True}),
    "dilated": ((5, 5, 1), {"dilations": [1, 2], "kernel": 5}),
    "without blocks": ((4, 4, 1), {"blocks": 0, "first_kernel": 3}),
    "conditional": ((3, 3, 2), {"context_features": 3, "gated": True}),
    "rectified": ((3, 4, 1), {"activation": "relu", "dropout": 0.5}),
}
EACH = pytest.mark.parametrize("name", NETWORKS)


def build(name):
    """A network in evaluation mode, away from its initial values, and contexts of six rows."""
    torch.manual_seed(0)
    shape, options = NETWORKS[name]
    network = ConvolutionalNetwork(shape, 2, **(SMALL | options)).double().eval()
    for parameter in network.parameters():
        nn.init.normal_(parameter, 0, 0.5)
    size = network.context_features
    return network, torch.randn(6, size, dtype=torch.float64) if size else None


@EACH
def test_a_value_depends_on_earlier_ones_only(name):
    network, contexts = build(name)
    context = None if contexts is None else contexts[0]
    x = 2 * torch.rand(network.features, dtype=torch.float64) - 1
    jacobian = torch.autograd.functional.jacobian(lambda given: network(given, context), x)
    depends = jacobian.abs().amax(1) > 0
    assert not depends.triu().any()
    before = torch.arange(1, len(x)) % (len(x) // network.shape[0]) != 0  # in the same line
    if name == "rectified":
        return  # a unit may be off for all rows
    assert depends.diagonal(-1)[before].all()
    if len(network.blocks):
        assert depends.sum() > 0.6 * len(x) * (len(x) - 1) / 2


def test_channels_of_a_pixel_depend_on_each_other_in_order():
    network, _ = build("colour")
    x = torch.zeros(27, dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(network, x).abs().amax(1) > 0
    pixel = jacobian[12:15, 12:15]
    assert pixel.equal(torch.ones(3, 3).tril(-1).bool())


@EACH
def test_generation_is_that_of_one_pass_per_value(name):
    network, context = build(name)
    noise = torch.randn(6, network.features, dtype=torch.float64)

    def next_values(params, places):
        return (params[..., 0] + noise[:, places] * params[..., 1].exp()).tanh()

    drawn = network.generate(next_values, rows=6, context=context)
    expected = torch.zeros_like(noise)
    with torch.no_grad():
        for feature in range(network.features):
            place = slice(feature, feature + 1)
            expected[:, place] = next_values(network(expected, context)[:, place], place)
    torch.testing.assert_close(drawn, expected, rtol=1e-10, atol=1e-10)


def multiply_adds(compute):
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        compute()
    return counter.get_total_flops()


def test_generation_costs_as_many_multiply_adds_as_a_pass():
    network = ConvolutionalNetwork((6, 6, 1), 16, units=16, inner_units=8, blocks=2)
    one = multiply_adds(lambda: network(torch.zeros(4, 36)))
    drawn = multiply_adds(
        lambda: generate(network, lambda params, _: params.tanh()[..., 0], rows=4)
    )
    assert drawn < 1.5 * one


def test_contexts_are_given_where_they_are_declared():
    network, context = build("conditional")
    x = torch.zeros(network.features, dtype=torch.float64)
    assert network(x, context).shape == (6, network.features, 2)
    assert not torch.equal(network(x, context[0]), network(x, context[1]))
    with pytest.raises(ValueError, match="not given"):
        network(x)
    with pytest.raises(ValueError, match="context was given"):
        build("grey")[0](torch.zeros(20).double(), context)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"kernel": 4}, "kernel=4: expected an odd width"),
        ({"first_kernel": 2}, "first_kernel=2: expected an odd width"),
        ({"dilations": []}, r"dilations=\[\]: expected at least one"),
        ({"activation": "softmax"}, "expected one that acts on single units"),
        ({"activation": "rely"}, "'rely' is unknown"),
        ({"blocks": -1}, "blocks=-1: expected an integer at least 0"),
    ],
)
def test_options_out_of_range_are_refused(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        ConvolutionalNetwork((4, 4, 3), 2, **(SMALL | options))
