"""Kernel densities."""

import math

import pytest
import torch

from flowbench.flows import KernelDensity


def fitted(x, **options):
    flow = KernelDensity(x.shape[1], **options).double()
    flow.initialize(x)
    return flow.eval()


def test_it_is_the_mean_of_gaussians_on_the_rows():
    x = torch.tensor([[-1.0], [0.0], [4.0]], dtype=torch.float64)
    flow = fitted(x)
    width = flow.base.width * x.std(correction=0)
    at = torch.linspace(-3, 6, 7).double().unsqueeze(-1)
    terms = -0.5 * ((at - x.T) / width) ** 2 - width.log() - 0.5 * math.log(2 * math.pi)
    torch.testing.assert_close(flow.log_prob(at), terms.logsumexp(-1) - math.log(3))


def test_the_width_shrinks_with_the_rows():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(4000, 1, dtype=torch.float64, generator=generator)
    widths = [fitted(x[:n]).base.width for n in (30, 300, 3000)]
    assert widths == sorted(widths, reverse=True)
    assert 0.1 < widths[-1] < 0.4  # Silverman: 1.06 n^(-1/5) = 0.21


def test_rows_beyond_the_centres_are_left_out_and_unused_centres_weigh_nothing():
    x = torch.randn(50, 2, dtype=torch.float64)
    assert fitted(x, centres=10).base.count == 10
    few, many = fitted(x, centres=50), fitted(x, centres=80)
    torch.testing.assert_close(few.log_prob(x), many.log_prob(x))
    assert many.sample(1000).abs().max() < 20


def test_it_has_no_contexts():
    with pytest.raises(ValueError, match="context was given"):
        KernelDensity(2).initialize(torch.randn(5, 2), torch.randn(5, 1))
