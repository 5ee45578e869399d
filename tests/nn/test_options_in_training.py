"""What the options of a network do in training: penalties and constraints of its weights."""

import torch

import flowbench
from flowbench.flows import Flow, StandardNormal
from flowbench.nn import AutoregressiveNetwork, MaskedLinear
from flowbench.transforms import MaskedAutoregressive


def trained(**options):
    """The weights of a small network after training on correlated rows."""
    torch.manual_seed(0)
    x = torch.randn(400, 2)
    x[:, 1] -= 2 * x[:, 0]
    network = AutoregressiveNetwork(2, hidden_units=[8], activation="tanh", seed=0, **options)
    flow = Flow(StandardNormal(2), MaskedAutoregressive(network))
    flowbench.fit(flow, x, batch_size=32, learning_rate=0.02, max_epochs=5)
    layers = [layer for layer in network.modules() if isinstance(layer, MaskedLinear)]
    return [layer.weight.detach() for layer in layers]


def test_constraints_hold_after_the_last_step():
    assert any((weight < 0).any() for weight in trained())
    for weight in trained(kernel_constraint="non_neg"):
        assert (weight >= 0).all()


def test_a_penalty_makes_weights_smaller():
    free = sum(weight.square().sum() for weight in trained())
    bound = sum(
        weight.square().sum()
        for weight in trained(kernel_regularizer=lambda weight: 10 * weight.square().sum())
    )
    assert bound < 0.5 * free
