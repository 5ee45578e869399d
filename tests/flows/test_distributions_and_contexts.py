"""The contract of torch.distributions, and contexts, given where they are taken."""

import copy

import pytest
import torch
from flow_table import (
    ALL,
    CLASSES,
    EITHER,
    FEATURES,
    build,
    events,
    one_hot,
)

from flowbench.flows import (
    MADE,
    MAF,
    AutoregressiveTransform,
    DistributionBase,
    Flow,
)
from flowbench.nn import AutoregressiveNetwork
from flowbench.transforms import Affine


@EITHER
def test_the_contract_of_a_distribution(name, classes):
    flow = build(name, classes)
    distribution = flow.distribution(one_hot(4) if classes else None)
    batch = (4,) if classes else ()
    assert distribution.sample(3).shape == distribution.sample((3,)).shape == (3, *batch, FEATURES)
    assert distribution.support.is_discrete == (name == "made_bernoulli")
    assert distribution.support.event_dim == 1
    assert distribution.support.check(distribution.sample((5,))).all()
    assert distribution.has_rsample == flow.has_rsample
    wider = distribution.expand((2, *batch))
    assert wider.sample().shape == (2, *batch, FEATURES)
    assert (
        torch.distributions.Independent(wider, 1).log_prob(wider.sample()).shape
        == (2, *batch)[:-1]
    )
    with pytest.raises(ValueError, match="does not expand to"):
        wider.expand((3, *batch))
    for value in ([0.0] * FEATURES, 1.0):
        with pytest.raises(TypeError, match=r"value is a .*, expected a tensor"):
            distribution.log_prob(value)
    with pytest.raises(NotImplementedError):
        torch.distributions.kl_divergence(distribution, distribution)


def test_a_distribution_is_copied_with_a_computed_context():
    flow = build("embedded", CLASSES)
    distribution = flow.distribution(one_hot(4))
    x = torch.zeros(FEATURES).double()
    twin = copy.deepcopy(distribution)
    assert torch.equal(twin.log_prob(x), distribution.log_prob(x))


@pytest.mark.parametrize("flow", [MAF(2, layers=1), MADE(2, dropout=0.5)])
def test_a_distribution_is_not_put_into_training_mode(flow):
    distribution = flow.eval().distribution()
    flow.train()
    for use in (lambda: distribution.log_prob(torch.zeros(2)), distribution.sample):
        with pytest.raises(ValueError, match=r"call \.eval\(\) first"):
            use()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_bounded_base_of_any_type(dtype):
    uniform = torch.distributions.Uniform(torch.zeros(2).double(), torch.ones(2).double())
    base = torch.distributions.Independent(uniform, 1)
    flow = Flow(DistributionBase(base), Affine(scale=[2.0, 2.0])).to(dtype).eval()
    x = torch.tensor([[1.0, 1.0], [9.0, 1.0], [torch.nan, 1.0]], dtype=dtype)
    log_prob = flow.log_prob(x)
    assert log_prob.dtype == flow.sample(3).dtype == dtype
    assert log_prob[0].item() == pytest.approx(-torch.tensor(4.0).log().item())
    assert log_prob[1] == -torch.inf
    assert log_prob[2].isnan()


def test_a_free_log_scale_of_the_layer():
    torch.manual_seed(0)
    network = AutoregressiveNetwork(2, hidden_units=[4])
    base = torch.distributions.Independent(torch.distributions.Normal(torch.zeros(2), 1.0), 1)
    layer = AutoregressiveTransform(network, log_scale_bound=None)
    x = torch.randn(5, 2)
    shift, log_scale = network(x).unbind(-1)
    expected = base.log_prob((x - shift) * torch.exp(-log_scale)) - log_scale.sum(-1)
    torch.testing.assert_close(layer(base).log_prob(x), expected)


@ALL
def test_a_context_is_told_once_for_all(name):
    flow = build(name, CLASSES)
    x = events(name, 4, FEATURES)
    with pytest.raises(ValueError, match=r"context_features=.*not given"):
        flow.log_prob(x)
    with pytest.raises(ValueError, match="not given"):
        flow.sample(2)
    with pytest.raises(ValueError, match=r"x of shape \(4, 3\) and context of shape \(3, .\)"):
        flow.log_prob(x, one_hot(3))
    if name not in (
        "embedded",
        "learnt_base",
    ):  # (`learnt_base` has a transform of the test's own)
        free = build(name)
        for use in (free.log_prob, lambda _, context: free.sample(2, context)):
            with pytest.raises(ValueError, match=r"context_features=0, but a context was given"):
                use(x, one_hot(4))
        with pytest.raises(
            ValueError, match=r"context has shape \(4, 5\), expected \[\.\.\., 2\]"
        ):
            flow.log_prob(x, torch.zeros(4, 5).double())
