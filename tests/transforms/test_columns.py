"""Many rows without gradients: in parts, over the blocks of masks, as plainly computed."""

import pytest
import torch
from torch import nn

from flowbench.flows import IAF, MAF, RealNVP
from flowbench.nn import AutoregressiveNetwork, MaskedLinear
from flowbench.nn.columns import column_function
from flowbench.nn.mlp import MLP
from flowbench.transforms.columns import columns_of

ROWS = 2500  # more than a part, and no multiple of one

FLOWS = {
    "natural": lambda **o: MAF(5, hidden_units=(100, 120), **o),
    "random": lambda **o: MAF(5, input_order="random", hidden_degrees="random", seed=3, **o),
    "linear": lambda **o: MAF(5, hidden_units=(), **o),
    "residual": lambda **o: MAF(5, hidden_units=(64,) * 3, residual=True, activation="elu", **o),
    "first layer": lambda **o: MAF(5, conditional_input_layers="first_layer", **o),
    "leaky": lambda **o: MAF(5, activation="leaky_relu", **o),
    "spline": lambda **o: MAF(5, univariate="spline", **o),
    "angles": lambda **o: MAF(5, circular=[1, 3], **o),
    "iaf": lambda **o: IAF(5, **o),
    "coupling": lambda **o: RealNVP(5, **o),
    "two networks": lambda **o: RealNVP(5, networks="separate", **o),
    "shift": lambda **o: RealNVP(5, univariate="shift", **o),
    "coupling spline": lambda **o: RealNVP(5, univariate="spline", **o),
}


def moved(name, context_features=0):
    """A flow whose weights are off their masks too."""
    torch.manual_seed(1)
    flow = FLOWS[name](layers=2, context_features=context_features).double().eval()
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return flow


def plainly(function, *given):
    with torch.enable_grad():
        return [part.detach() for part in function(*given)]


@pytest.mark.parametrize("context_features", [0, 3])
@pytest.mark.parametrize("name", FLOWS)
def test_both_directions_equal_the_plain_operations(name, context_features):
    flow = moved(name, context_features)
    x = torch.randn(ROWS, 5).double().clamp(-3, 3)  # some are angles
    context = torch.randn(ROWS, 3).double() if context_features else None
    with torch.no_grad():
        u, log_det = flow.transform.inverse(x, context)
        again, back = flow.transform(u, context)
    expected = plainly(flow.transform.inverse, x, context)
    for found, plain in zip((u, log_det), expected, strict=True):
        torch.testing.assert_close(found, plain, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(again, x, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(back, -log_det, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", ["natural", "coupling"])
def test_batches_broadcast_with_contexts(name):
    flow = moved(name, 3)
    x, context = torch.randn(40, 1, 5).double(), torch.randn(30, 3).double()
    with torch.no_grad():
        found = flow.log_prob(x, context)
    torch.testing.assert_close(found, flow.log_prob(x, context).detach(), rtol=1e-9, atol=1e-9)


class Louder(MaskedLinear):
    def forward(self, x):
        return 2 * super().forward(x)


def hooked(network):
    network.layers[0].register_forward_hook(lambda *_: None)


def replaced(network):
    network.layers[0].__class__ = Louder


def watched(network):
    network.forward = network.forward


def in_dropout(network):
    network.dropout.p = 0.5
    network.train()


def with_parameters(network):
    network.activation = nn.PReLU(7)


@pytest.mark.parametrize("change", [hooked, replaced, watched, in_dropout, with_parameters])
def test_changed_networks_keep_their_own_forward(change):
    network = AutoregressiveNetwork(3, hidden_units=[7], activation="relu")
    assert column_function(network) is not None
    change(network)
    assert column_function(network) is None


def test_a_dense_weight_of_another_width_is_refused():
    network = MLP(3, outputs=1, hidden_units=[4])
    network.layers[0].weight = nn.Parameter(torch.zeros(4, 2))
    for of in (network, lambda x: column_function(network)(x.T, None)):
        with pytest.raises(RuntimeError), torch.no_grad():
            of(torch.zeros(10, 3))


def test_activations_across_units_keep_their_own_forward():
    assert column_function(MLP(2, outputs=1, hidden_units=[4], activation="softmax")) is None


def by_forward_mode(network, x):
    with torch.autograd.forward_ad.dual_level(), torch.no_grad():
        return columns_of(network, torch.autograd.forward_ad.make_dual(x, x), None)


def by_vmap(network, x):
    found = []
    with torch.no_grad():
        torch.func.vmap(lambda row: found.append(columns_of(network, row, None)) or row)(x[None])
    return found[0]


def by_autograd(network, x):
    return columns_of(network, x, None)


def by_few_rows(network, x):
    with torch.no_grad():
        return columns_of(network, x[:10], None)


@pytest.mark.parametrize("way", [by_forward_mode, by_vmap, by_autograd, by_few_rows])
def test_whatever_may_be_differentiated_or_traced_is_plain(way):
    network, x = AutoregressiveNetwork(3, hidden_units=[7]), torch.randn(ROWS, 3)
    with torch.no_grad():
        assert columns_of(network, x, None) is not None
    assert way(network, x) is None
