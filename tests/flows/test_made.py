"""Families against torch.distributions; MADE against a MAF of one layer; the MAF MoG."""

import math

import pytest
import torch
from torch.distributions import Bernoulli, Categorical, MixtureSameFamily, Normal

from flowbench.flows import (
    MADE,
    MAF,
    Autoregressive,
    BernoulliFamily,
    GaussianFamily,
    MixtureFamily,
    StandardNormal,
)
from flowbench.nn import AutoregressiveNetwork


def mixture(params, quantiles):
    logits, rest = params[..., :4], params[..., 4:].unflatten(-1, (4, 2))
    components = Normal(rest[..., 0] + quantiles, rest[..., 1].exp())
    return MixtureSameFamily(Categorical(logits=logits), components)


REFERENCES = {
    "gaussian": (GaussianFamily(None), lambda p: Normal(p[..., 0], p[..., 1].exp())),
    "mixture": (
        MixtureFamily(4, None),
        lambda p: mixture(p, torch.special.ndtri((torch.arange(4) + 0.5) / 4)),
    ),
    "bernoulli": (BernoulliFamily(), lambda p: Bernoulli(logits=p[..., 0])),
}


@pytest.mark.parametrize("name", REFERENCES)
def test_families_agree_with_torch_distributions(name):
    family, reference = REFERENCES[name]
    torch.manual_seed(0)
    params = torch.randn(5, 3, family.params)
    expected = reference(params)
    x = expected.sample()
    torch.testing.assert_close(family.log_prob(x, params), expected.log_prob(x))
    samples = family.sample(params.expand(20_000, 5, 3, -1))
    standard_error = expected.variance.sqrt() / math.sqrt(20_000)
    assert ((samples.mean(0) - expected.mean).abs() < 5 * standard_error).all()


@pytest.mark.parametrize("family", [GaussianFamily(), MixtureFamily(3)])
@pytest.mark.parametrize("value", [-1e30, 1e30])
def test_extreme_parameters_give_finite_densities_and_gradients(family, value):
    params = torch.full((1, 1, family.params), value, requires_grad=True)
    x = torch.tensor([[value]])
    log_prob = family.log_prob(x, params).sum()
    log_prob.backward()
    assert log_prob.isfinite()
    assert params.grad.isfinite().all()


def test_an_extreme_logit_gives_the_exact_bernoulli_density():
    params = torch.tensor([[1e4], [-1e4]])
    log_prob = BernoulliFamily().log_prob(torch.ones(2), params)
    assert log_prob.tolist() == [0.0, -1e4]


def test_bernoulli_refuses_what_is_not_binary():
    with pytest.raises(ValueError, match="other than 0 and 1"):
        MADE(2, family="bernoulli").log_prob(torch.tensor([0.5, 1.0]))


@pytest.mark.parametrize("classes", [0, 2])
def test_gaussian_made_is_a_maf_of_one_layer(classes):
    options = {"context_features": classes, "hidden_units": [8, 8], "seed": 0}
    made = MADE(4, **options)
    maf = MAF(4, layers=1, batch_norm=False, **options)
    layer = maf.transform.transforms[0]
    layer.conditioner.load_state_dict(made.base.network.state_dict())
    x, context = torch.randn(9, 4), torch.randn(9, 2) if classes else None
    torch.testing.assert_close(made.log_prob(x, context), maf.log_prob(x, context))
    torch.manual_seed(0)
    samples = made.sample((50_000,), None if context is None else context[0])
    noise, _ = layer.inverse(samples, None if context is None else context[0])
    torch.testing.assert_close(noise.mean(0), torch.zeros(4), atol=0.02, rtol=0)
    torch.testing.assert_close(noise.mT.cov(), torch.eye(4), atol=0.03, rtol=0)


def test_a_mixture_of_one_component_is_a_gaussian():
    params = torch.randn(5, 3, 3)
    x = torch.randn(5, 3)
    torch.testing.assert_close(
        MixtureFamily(1).log_prob(x, params), GaussianFamily().log_prob(x, params[..., 1:])
    )


def test_the_components_of_a_mixture_part_in_training():
    """Two narrow modes in the first feature, which depends on biases alone."""
    torch.manual_seed(0)
    x = torch.randn(400, 2) * 0.2
    x[:, 0] += torch.randint(2, (400,)) * 4.0 - 2
    flow = MADE(2, family="mixture", components=2, hidden_units=[4], seed=0)
    optimizer = torch.optim.Adam(flow.parameters(), lr=0.05)
    for _ in range(200):
        optimizer.zero_grad()
        (-flow(x).mean()).backward()
        optimizer.step()
    entropy = math.log(2) + math.log(2 * math.pi * math.e * 0.04)
    assert flow(x).mean().item() == pytest.approx(-entropy, abs=0.1)


def test_bernoulli_samples_follow_the_conditionals():
    torch.manual_seed(0)
    flow = MADE(3, family="bernoulli", hidden_units=[16], input_order=[2, 3, 1], seed=0)
    with torch.no_grad():
        flow.base.network.layers[-1].weight.mul_(3)
    cells = torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * 3)
    codes = flow.sample((100_000,)) @ torch.tensor([4.0, 2.0, 1.0])
    frequencies = torch.bincount(codes.long(), minlength=8) / 100_000
    torch.testing.assert_close(frequencies, flow.log_prob(cells).exp(), atol=0.01, rtol=0)


def test_gaussian_samples_carry_gradients_and_others_do_not():
    assert MADE(3).has_rsample
    assert MADE(3).sample_and_log_prob((5,))[0].requires_grad
    for family in ("mixture", "bernoulli"):
        assert not MADE(3, family=family).has_rsample


def test_maf_mog_goes_on_with_the_order_of_its_layers():
    flow = MAF(3, layers=2, base="mixture", components=5, hidden_units=[4])
    assert flow.base.network.degrees[0].tolist() == [1, 2, 3]
    flow = MAF(3, layers=1, base="mixture", components=5, hidden_units=[4])
    assert flow.base.network.degrees[0].tolist() == [3, 2, 1]
    assert flow.base.family.params == 15


def test_wrong_options_are_named():
    network = AutoregressiveNetwork(3, params=2)
    for build, message in (
        (lambda: MADE(3, family="poisson"), "family='poisson' is unknown"),
        (lambda: MADE(3, family="mixture", components=0), "components=0"),
        (lambda: MAF(3, base="uniform"), "base='uniform' is unknown"),
        (lambda: MAF(3, univariate="cubic"), "univariate='cubic' is unknown"),
        (lambda: MAF(3, layers=0), "layers=0"),
        (lambda: Autoregressive(network, BernoulliFamily()), "params=2, expected the 1"),
    ):
        with pytest.raises(ValueError, match=message):
            build()
    assert isinstance(MAF(3).base, StandardNormal)
