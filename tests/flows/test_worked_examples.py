"""The worked examples of TensorFlow Probability's documentation, on the same data.

They are those of AutoregressiveNetwork, AutoregressiveTransform and RealNVP.
"""

import math

import pytest
import torch
from torch.distributions import Independent, Normal, TransformedDistribution
from torch.distributions.transforms import ReshapeTransform

from flowbench.flows import (
    MADE,
    AutoregressiveTransform,
    Blockwise,
    Flow,
    RealNVP,
    StandardNormal,
)
from flowbench.nn import AutoregressiveNetwork
from flowbench.nn.mlp import MLP
from flowbench.transforms import Coupling, MaskedAutoregressive

ENTROPY = math.log(2 * math.pi * math.e) + math.log(2)  # of the banana: N(0, 4), then N(x₂²/4, 1)
GAUSSIAN_ENTROPY = math.log(2 * math.pi * math.e) + 0.5 * math.log(4 * 3)  # of its moments


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def banana(rows):
    second = 2 * torch.randn(rows)
    return torch.stack([torch.randn(rows) + second.square() / 4, second], dim=-1)


def fit(module, loss, *data, steps, learning_rate=1e-2, batch_size=25):
    """Adam on minibatches, its learning rate falling to zero."""
    optimizer = torch.optim.Adam(module.parameters(), lr=learning_rate, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    module.train()
    for _ in range(steps):
        rows = torch.randint(len(data[0]), (batch_size,))
        optimizer.zero_grad()
        loss(*(part[rows] for part in data)).backward()
        optimizer.step()
        schedule.step()
    module.eval()


def test_made_reaches_the_entropy_of_the_banana():
    """x₂ first and a nonlinear network: the conditionals are those of the data."""
    network = AutoregressiveNetwork(
        2,
        params=2,
        hidden_units=[10, 10],
        activation="relu",
        input_order="right-to-left",
        seed=0,
    )
    flow = Flow(StandardNormal(2), MaskedAutoregressive(network))
    fit(flow, lambda x: -flow(x).mean(), banana(2000), steps=1500)
    log_likelihood = flow.log_prob(banana(50_000)).mean().item()
    assert log_likelihood == pytest.approx(-ENTROPY, abs=0.15)
    assert flow.sample((3, 1)).shape == (3, 1, 2)
    assert flow.log_prob(torch.ones(3, 2)).shape == (3,)


def test_made_as_written_is_better_than_a_gaussian():
    """x₁ first and a linear network, as the documentation has it."""
    network = AutoregressiveNetwork(2, params=2, hidden_units=[10, 10], seed=0)
    flow = Flow(StandardNormal(2), MaskedAutoregressive(network))
    fit(flow, lambda x: -flow(x).mean(), banana(2000), steps=1500)
    assert flow.log_prob(banana(50_000)).mean().item() > -GAUSSIAN_ENTROPY


def test_conditional_made_learns_both_parts_of_a_mixture():
    context = torch.cat([torch.zeros(1000, 1), torch.ones(1000, 1)])
    x = torch.randn(2000, 1) + 5 * context
    network = AutoregressiveNetwork(1, params=2, hidden_units=[2, 2], context_features=1, seed=0)
    flow = Flow(StandardNormal(1), MaskedAutoregressive(network))
    fit(flow, lambda x, c: -flow(x, c).mean(), x, context, steps=1500)
    for value, mean in ((0.0, 0.0), (1.0, 5.0)):
        samples = flow.sample((), torch.full((1000, 1), value))
        assert samples.shape == (1000, 1)
        assert samples.mean().item() == pytest.approx(mean, abs=0.25)
        assert samples.std().item() == pytest.approx(1, abs=0.2)


def test_autoregressive_transform_of_a_normal():
    layer = AutoregressiveTransform(
        AutoregressiveNetwork(2, params=2, hidden_units=[10], activation="relu", seed=0)
    )

    def loss(x):
        return -layer(Independent(Normal(torch.zeros(2), torch.ones(2)), 1)).log_prob(x).mean()

    test = banana(50_000)
    before = loss(test).item()
    fit(layer, loss, banana(2000), steps=1500)
    assert loss(test).item() < min(before, GAUSSIAN_ENTROPY)
    distribution = layer(Independent(Normal(torch.zeros(2), torch.ones(2)), 1))
    assert distribution.sample((4,)).shape == (4, 2)
    assert distribution.log_prob(torch.zeros(5, 3, 2)).shape == (5, 3)


def test_images_fully_autoregressive():
    images = torch.rand(100, 8, 8, 3)
    flow = MADE(8 * 8 * 3, hidden_units=[20, 20], activation="relu", seed=0)
    distribution = TransformedDistribution(
        flow.distribution(), ReshapeTransform((192,), (8, 8, 3))
    )
    before = -distribution.log_prob(images).mean().item()
    fit(flow, lambda x: -distribution.log_prob(x).mean(), images, steps=100, batch_size=10)
    assert -distribution.log_prob(images).mean().item() < before - 10
    assert distribution.sample((3, 1)).shape == (3, 1, 8, 8, 3)
    assert distribution.log_prob(torch.ones(5, 8, 8, 3)).shape == (5,)


def binary_images():
    """`[100, channels, pixels]`, from images `[100, 8, 8, channels]`."""
    return torch.randint(2, (100, 8, 8, 3)).float().flatten(1, 2).mT


def test_binary_images_with_weights_shared_by_the_channels():
    images = binary_images()
    flow = MADE(64, family="bernoulli", hidden_units=[20, 20], activation="relu", seed=0)
    distribution = Independent(flow.distribution().expand([3]), 1)
    before = -distribution.log_prob(images).mean().item()
    fit(flow, lambda x: -distribution.log_prob(x).mean(), images, steps=200, batch_size=10)
    assert -distribution.log_prob(images).mean().item() < before - 2
    samples = distribution.sample((4,))
    assert samples.shape == (4, 3, 64)
    assert distribution.log_prob(samples).shape == (4,)


def test_binary_images_with_weights_for_each_channel():
    images = binary_images().flatten(-2)
    options = {"family": "bernoulli", "hidden_units": [20, 20], "activation": "relu"}
    flow = Blockwise([MADE(64, **options, seed=channel) for channel in range(3)])
    before = -flow.log_prob(images).mean().item()
    fit(flow, lambda x: -flow(x).mean(), images, steps=200, batch_size=10)
    assert -flow.log_prob(images).mean().item() < before - 2
    assert flow.sample((4,)).unflatten(-1, (3, 64)).shape == (4, 3, 64)


@pytest.mark.parametrize("form", ["layer", "flow"])
def test_real_nvp_with_two_of_three_masked(form):
    if form == "layer":
        conditioner = MLP(2, outputs=1, hidden_units=[512, 512], activation="relu")
        nvp = Flow(StandardNormal(3), Coupling(3, conditioner, num_masked=2))
    else:
        nvp = RealNVP(3, layers=1, num_masked=2, hidden_units=[512, 512], batch_norm=False)
    x = nvp.sample()
    assert x.shape == (3,)
    assert nvp.log_prob(x).shape == nvp.log_prob(torch.zeros(3)).shape == ()
    u = torch.randn(100, 3)
    x, log_det = nvp.transform(u)
    assert torch.equal(x[:, :2], u[:, :2])
    assert not torch.equal(x[:, 2], u[:, 2])
    back, back_log_det = nvp.transform.inverse(x)
    torch.testing.assert_close(back, u)
    torch.testing.assert_close(back_log_det, -log_det)
