"""Mixtures of Gaussians, fitted by expectation and maximisation."""

import pytest
import torch

from flowbench.flows import Gaussian, GaussianMixture


def three_clusters(n, seed=0):
    generator = torch.Generator().manual_seed(seed)
    centres = torch.tensor([[0.0, 0.0], [8.0, 0.0], [0.0, 8.0]])
    labels = torch.multinomial(
        torch.tensor([0.5, 0.3, 0.2]), n, replacement=True, generator=generator
    )
    return centres[labels] + torch.randn(n, 2, generator=generator), labels


def test_the_mixture_that_drew_the_rows_is_found():
    x, _ = three_clusters(20_000)
    flow = GaussianMixture(2, components=3).double()
    flow.initialize(x)
    weights, order = flow.base.log_weights[0].exp().sort(descending=True)
    torch.testing.assert_close(weights, torch.tensor([0.5, 0.3, 0.2]).double(), atol=0.01, rtol=0)
    means, _ = flow.transform(flow.base.means[0, order])
    expected = torch.tensor([[0.0, 0.0], [8.0, 0.0], [0.0, 8.0]]).double()
    torch.testing.assert_close(means, expected, atol=0.1, rtol=0)


def test_one_component_is_the_gaussian():
    x = torch.randn(500, 3) @ torch.randn(3, 3) + 5
    mixture, gaussian = GaussianMixture(3, components=1).double(), Gaussian(3).double()
    for flow in (mixture, gaussian):
        flow.initialize(x.double())
    torch.testing.assert_close(mixture.log_prob(x.double()), gaussian.log_prob(x.double()))


def test_more_rounds_never_lower_the_likelihood_of_more_components():
    x, _ = three_clusters(2_000)
    scores = []
    for components in (1, 2, 3):
        flow = GaussianMixture(2, components=components)
        flow.initialize(x)
        scores.append(flow.log_prob(x).mean())
    assert scores == sorted(scores)


def test_repeated_rows_have_a_bounded_density():
    """Without the prior a component would shrink to a point, with an infinite density."""
    x = torch.cat([torch.zeros(500, 2), torch.randn(500, 2)])
    flow = GaussianMixture(2, components=8)
    flow.initialize(x)
    assert flow.log_prob(torch.zeros(1, 2)) < 10


def test_a_class_has_its_own_mixture():
    x, labels = three_clusters(3_000)
    context = torch.nn.functional.one_hot(labels, 3).float()
    flow = GaussianMixture(2, context_features=3, components=1)
    flow.initialize(x, context)
    samples = flow.sample(2_000, torch.eye(3))
    expected = torch.tensor([[0.0, 0.0], [8.0, 0.0], [0.0, 8.0]])
    torch.testing.assert_close(samples.mean(0), expected, atol=0.2, rtol=0)
    with pytest.raises(ValueError, match=r"class 1 of 0 … 2 has no training rows"):
        flow.initialize(x[labels != 1], context[labels != 1])


def test_dependent_columns_are_refused():
    x = torch.randn(100, 1).expand(100, 2)
    with pytest.raises(ValueError, match="singular at feature 2"):
        GaussianMixture(2).initialize(x)
