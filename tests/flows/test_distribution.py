"""Flows inside torch.distributions, and torch.distributions inside flows."""

import pytest
import torch
from torch import nn
from torch.distributions import (
    Categorical,
    Independent,
    MixtureSameFamily,
    MultivariateNormal,
    Normal,
    TransformedDistribution,
)
from torch.distributions.transforms import ReshapeTransform

from flowbench.flows import MADE, MAF, AutoregressiveTransform, DistributionBase, Flow
from flowbench.nn import AutoregressiveNetwork
from flowbench.transforms import Affine

OPTIONS = {"layers": 2, "hidden_units": [8], "seed": 0}


def test_shapes_without_a_context():
    distribution = MAF(3, **OPTIONS).eval().distribution()
    assert (distribution.batch_shape, distribution.event_shape) == ((), (3,))
    assert distribution.sample((5, 2)).shape == (5, 2, 3)
    assert distribution.log_prob(torch.zeros(5, 2, 3)).shape == (5, 2)


def test_shapes_with_contexts():
    flow = MAF(3, context_features=2, **OPTIONS).eval()
    context = torch.randn(4, 6, 2)
    distribution = flow.distribution(context)
    assert (distribution.batch_shape, distribution.event_shape) == ((4, 6), (3,))
    x = distribution.sample((5,))
    assert x.shape == (5, 4, 6, 3)
    assert torch.equal(distribution.log_prob(x), flow.log_prob(x, context))
    assert distribution.log_prob(torch.zeros(3)).shape == (4, 6)


def test_a_raw_context_is_embedded_once():
    flow = MAF(3, context_features=2, **OPTIONS).eval()
    whole = Flow(flow.base, flow.transform, nn.Linear(7, 2))
    distribution = whole.distribution(torch.zeros(4, 7))
    assert distribution.batch_shape == (4,)
    x = distribution.sample()
    torch.testing.assert_close(distribution.log_prob(x), whole.log_prob(x, torch.zeros(4, 7)))


def test_samples_carry_gradients_to_parameters_and_context():
    flow = MAF(3, context_features=2, **OPTIONS).eval()
    context = torch.randn(4, 2, requires_grad=True)
    distribution = flow.distribution(context)
    assert not distribution.sample((2,)).requires_grad
    distribution.rsample((2,)).square().sum().backward()
    for value in (context, *flow.parameters()):
        assert value.grad is not None


def test_samples_that_carry_no_gradients_say_so():
    distribution = MADE(3, family="bernoulli").distribution()
    assert not distribution.has_rsample
    with pytest.raises(NotImplementedError, match="carry no gradients"):
        distribution.rsample()


def test_independent_sums_over_the_batch():
    flow = MADE(4, family="bernoulli", hidden_units=[8])
    shared = Independent(flow.distribution().expand([3]), 1)
    x = shared.sample((5,))
    assert x.shape == (5, 3, 4)
    torch.testing.assert_close(shared.log_prob(x), flow.log_prob(x).sum(-1))


def test_a_mixture_of_flows():
    flow = MAF(2, context_features=1, **OPTIONS).eval()
    context = torch.tensor([[0.0], [1.0], [2.0]])
    weights = Categorical(probs=torch.tensor([0.2, 0.3, 0.5]))
    distribution = MixtureSameFamily(weights, flow.distribution(context))
    x = distribution.sample((7,))
    assert x.shape == (7, 2)
    terms = flow.log_prob(x.unsqueeze(1), context) + weights.probs.log()
    torch.testing.assert_close(distribution.log_prob(x), terms.logsumexp(-1))


def test_divergence_by_sampling():
    """KL(p ‖ q) of two Gaussians, one of them a flow, against its closed form."""
    torch.manual_seed(0)
    base = MAF(2, layers=1).base
    p = Flow(base, Affine(shift=[1.0, 0.0], scale=[0.5, 0.5])).distribution()
    q = MultivariateNormal(torch.zeros(2), torch.eye(2))
    x = p.rsample((100_000,))
    estimate = (p.log_prob(x) - q.log_prob(x)).mean()
    exact = 0.5 * (0.5 + 1.0 - 2 + 2 * torch.log(torch.tensor(4.0)))
    assert estimate.item() == pytest.approx(exact.item(), abs=0.02)


def test_images_by_a_torch_reshape():
    flow = MAF(12, **OPTIONS).eval()
    images = TransformedDistribution(flow.distribution(), ReshapeTransform((12,), (2, 2, 3)))
    x = images.sample((5, 1))
    assert x.shape == (5, 1, 2, 2, 3)
    torch.testing.assert_close(images.log_prob(x), flow.log_prob(x.flatten(-3)))


@pytest.mark.parametrize("batch", [(), (4,), (5, 4)])
def test_the_layer_moves_batched_bases(batch):
    torch.manual_seed(0)
    network = AutoregressiveNetwork(3, params=2, hidden_units=[8], activation="tanh")
    layer = AutoregressiveTransform(network)
    base = Independent(Normal(torch.randn(*batch, 3), torch.rand(*batch, 3) + 0.5), 1)
    distribution = layer(base)
    assert distribution.batch_shape == batch
    x = distribution.rsample((6,))
    assert x.shape == (6, *batch, 3)
    u, log_det = layer.transform.inverse(x)
    torch.testing.assert_close(distribution.log_prob(x), base.log_prob(u) + log_det)
    assert distribution.log_prob(torch.zeros(3)).shape == batch


def test_the_layer_takes_a_context():
    network = AutoregressiveNetwork(3, params=2, context_features=2)
    base = MultivariateNormal(torch.zeros(3), torch.eye(3))
    distribution = AutoregressiveTransform(network)(base, torch.randn(4, 2))
    assert distribution.batch_shape == (4,)
    assert distribution.sample((2,)).shape == (2, 4, 3)


def test_a_base_without_gradients_is_sampled():
    mixture = MixtureSameFamily(
        Categorical(logits=torch.zeros(2)),
        Independent(Normal(torch.tensor([[-1.0, 0.0], [1.0, 0.0]]), torch.ones(2, 2)), 1),
    )
    flow = Flow(DistributionBase(mixture), Affine(scale=[2.0, 2.0]))
    assert not flow.has_rsample
    x, log_prob = flow.sample_and_log_prob((5,))
    torch.testing.assert_close(flow.log_prob(x), log_prob)


def test_the_layer_refuses_what_does_not_fit():
    with pytest.raises(ValueError, match="params=3, expected shift and log-scale"):
        AutoregressiveTransform(AutoregressiveNetwork(2, params=3))
    layer = AutoregressiveTransform(AutoregressiveNetwork(2, params=2))
    with pytest.raises(ValueError, match=r"event_shape=\(\), expected \(2,\)"):
        layer(Normal(torch.zeros(2), torch.ones(2)))
