"""Samples follow the density where a user's class or hook changes what a network computes."""

import pytest
import torch
from torch import nn

from flowbench.flows import Autoregressive, Flow, GaussianFamily, PixelCNN, StandardNormal
from flowbench.nn import AutoregressiveNetwork
from flowbench.nn.linear import MaskedLinear
from flowbench.transforms import Chain, MaskedAutoregressive

SIZES = {"hidden_units": [16], "activation": "tanh", "kernel_initializer": "he_normal", "seed": 0}


class Clipped(AutoregressiveNetwork):
    """Clips the log-scales, as the template of TensorFlow Probability does."""

    def forward(self, x, context=None):
        shift, log_scale = super().forward(x, context).unbind(-1)
        return torch.stack([shift, log_scale.clamp(-0.2, 0.2)], -1)


class Halved(MaskedLinear):
    def forward(self, x):
        return super().forward(x) / 2


def plain():
    return AutoregressiveNetwork(3, input_order=[2, 0, 1], **SIZES)


def hooked():
    network = plain()
    for layer in network.layers:
        layer.register_forward_hook(lambda module, given, output: 0.9 * output)
    return network


def with_other_layers():
    network = plain()
    for layer in network.layers:
        layer.__class__ = Halved
    return network


NETWORKS = {
    "clipped": lambda: Clipped(3, input_order=[2, 0, 1], **SIZES),
    "hooked": hooked,
    "other layers": with_other_layers,
}
DENSITIES = {
    "flow": lambda network: Flow(StandardNormal(3), MaskedAutoregressive(network)),
    "base": lambda network: Flow(Autoregressive(network, GaussianFamily(None)), Chain()),
}


@pytest.mark.parametrize("density", DENSITIES)
@pytest.mark.parametrize("name", NETWORKS)
def test_the_density_of_samples_is_that_of_rows(name, density):
    torch.manual_seed(0)
    flow = DENSITIES[density](NETWORKS[name]()).double().eval()
    u = torch.randn(200, 3).double()
    if density == "flow":
        x, log_det = flow.transform(u)
        torch.testing.assert_close(flow.transform.inverse(x)[0], u)
        torch.testing.assert_close(flow.transform.inverse(x)[1], -log_det)
    else:
        x = flow.base.from_noise(u)
        shift, log_scale = flow.base.network(x).unbind(-1)
        torch.testing.assert_close(x, shift + u * log_scale.exp())


def test_levels_of_a_hooked_network():
    torch.manual_seed(0)
    pictures = {"levels": 3, "shape": [2, 2, 1]}
    flow = PixelCNN(4, lattice=pictures, units=8, inner_units=4, blocks=1).eval()
    for parameter in flow.parameters():
        nn.init.normal_(parameter, 0, 0.5)

    def only_the_lowest(module, given, output):
        return output - 50 * torch.arange(3)

    flow.base.network.register_forward_hook(only_the_lowest)
    assert (flow.sample((20,)) < 1).all()
