"""Flows of features on a normal scale."""

import torch

from flowbench.flows import Gaussian, GaussianMixture, Johnson


def test_it_is_a_density_of_the_features_themselves():
    torch.manual_seed(0)
    rows = torch.randn(2000, 1).exp()
    flow = Johnson(Gaussian(1))
    flow.initialize(rows)
    x = torch.linspace(-20, 200, 200_001).unsqueeze(-1)
    assert abs(torch.trapezoid(flow.eval().log_prob(x).exp(), x[:, 0]) - 1) < 1e-2
    plain = Gaussian(1)
    plain.initialize(rows)
    assert flow.log_prob(rows).mean() > plain.log_prob(rows).mean() + 0.5


def test_samples_have_the_density_that_is_told():
    torch.manual_seed(0)
    flow = Johnson(GaussianMixture(2, components=2)).eval()
    flow.initialize(torch.randn(1000, 2).exp())
    x, log_prob = flow.sample_and_log_prob((500,))
    torch.testing.assert_close(flow.log_prob(x), log_prob, atol=1e-3, rtol=1e-3)
    assert (x.median(0).values - 1).abs().max() < 0.3
