"""The Gaussian of the data, and one for each class; flows over blocks of features."""

import pytest
import torch
from torch.distributions import MultivariateNormal

from flowbench.flows import MADE, MAF, Blockwise, Gaussian


def rows_of(count, *, seed):
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(3, 3, generator=generator)
    return torch.randn(count, 3, generator=generator) @ mixing + seed


def reference(x):
    covariance = x.mT.cov(correction=0)
    return MultivariateNormal(x.double().mean(0), covariance.double())


def test_it_is_the_gaussian_of_the_moments():
    x = rows_of(500, seed=1)
    flow = Gaussian(3)
    flow.initialize(x)
    torch.testing.assert_close(flow.log_prob(x), reference(x).log_prob(x.double()).float())


def test_every_class_has_its_own():
    parts = [rows_of(300, seed=1), rows_of(200, seed=2)]
    labels = torch.cat([torch.zeros(300), torch.ones(200)]).long()
    x, context = torch.cat(parts), torch.nn.functional.one_hot(labels, 2).float()
    order = torch.randperm(500)
    flow = Gaussian(3, context_features=2)
    flow.initialize(x[order], context[order])
    for part, one in zip(parts, torch.eye(2), strict=True):
        expected = reference(part).log_prob(part.double()).float()
        torch.testing.assert_close(flow.log_prob(part, one), expected)
    samples = flow.sample((20_000,), torch.eye(2))
    torch.testing.assert_close(
        samples.mean(0), torch.stack([part.mean(0) for part in parts]), atol=0.1, rtol=0
    )


@pytest.mark.parametrize("context", [[[0.5, 0.5]], [[1.0, 1.0]], [[0.0, 0.0]]])
def test_a_context_that_is_no_class_is_refused(context):
    with pytest.raises(ValueError, match="one of 2 classes in one-hot form"):
        Gaussian(3, context_features=2).log_prob(torch.zeros(1, 3), torch.tensor(context))


def test_a_context_of_another_size_is_refused():
    with pytest.raises(ValueError, match=r"context has shape \(1, 3\), expected \[\.\.\., 2\]"):
        Gaussian(3, context_features=2).log_prob(torch.zeros(1, 3), torch.eye(3)[:1])


def test_a_class_that_cannot_be_fitted_is_named():
    flow = Gaussian(3, context_features=2)
    first = torch.tensor([[1.0, 0.0]])
    with pytest.raises(ValueError, match=r"class 1 of 0 … 1 has no training rows"):
        flow.initialize(rows_of(50, seed=1), first.expand(50, -1))
    with pytest.raises(ValueError, match=r"class 0: the covariance .* is singular"):
        flow.initialize(rows_of(2, seed=1), first.expand(2, -1))


@pytest.mark.parametrize(("dtype", "noise"), [(torch.float32, 1e-8), (torch.float64, 1e-9)])
def test_a_covariance_that_is_singular_but_for_rounding_is_refused(dtype, noise):
    x = rows_of(2000, seed=1).to(dtype)
    x[:, 1] = 1 + 2 * x[:, 0] + noise * torch.randn(2000)
    with pytest.raises(ValueError, match=r"singular at feature 2 \(from 1\) of 3"):
        Gaussian(3).initialize(x)
    x[:, 1] += 1e-4 * torch.randn(2000)
    Gaussian(3).initialize(x)


def test_blocks_are_independent_flows():
    flows = [MAF(2, layers=1, hidden_units=[4], seed=0), Gaussian(1), MADE(3, hidden_units=[4])]
    blockwise = Blockwise(flows)
    x = torch.randn(50, 6) * 3 + 1
    blockwise.initialize(x)
    blockwise.eval().recompute_statistics(x)
    parts = x.split([2, 1, 3], dim=-1)
    apart = [flow.log_prob(part) for flow, part in zip(flows, parts, strict=True)]
    torch.testing.assert_close(blockwise.log_prob(x), sum(apart))
    assert flows[1].transform.mean.item() == pytest.approx(x[:, 2].mean().item(), rel=1e-5)
    noise = flows[0].transform.inverse(parts[0])[0]
    torch.testing.assert_close(noise.mean(0), torch.zeros(2), atol=1e-4, rtol=0)


def test_blockwise_needs_a_flow():
    with pytest.raises(ValueError, match="expected a flow for each block"):
        Blockwise([])
