"""Linear regression with Gaussian residuals."""

import pytest
import torch
from sklearn.linear_model import LinearRegression

from flowbench.flows import Gaussian, LinearGaussian

GENERATOR = torch.Generator().manual_seed(0)
CONTEXT = torch.randn(300, 3, dtype=torch.float64, generator=GENERATOR) * torch.tensor(
    [1, 50, 0.1]
)
NOISE = torch.randn(300, 2, dtype=torch.float64, generator=GENERATOR)
X = CONTEXT @ torch.tensor([[1.0, 2], [0.1, 0], [0, 30]]).double() + 7 + NOISE * 0.5


def fitted(x, context, **options):
    flow = LinearGaussian(x.shape[1], context_features=context.shape[1]).double()
    flow.initialize(x, context, **options)
    return flow.eval()


def test_it_is_least_squares_with_gaussian_residuals():
    flow, known = fitted(X, CONTEXT), LinearRegression().fit(CONTEXT, X)
    expected = torch.from_numpy(known.predict(CONTEXT))
    residuals = X - expected
    density = torch.distributions.MultivariateNormal(expected, residuals.mT @ residuals / len(X))
    torch.testing.assert_close(flow.log_prob(X, CONTEXT), density.log_prob(X))
    drawn = flow.sample(20_000, CONTEXT[:2])
    torch.testing.assert_close(drawn.mean(0), expected[:2], atol=0.03, rtol=0)


def test_without_a_context_it_is_the_gaussian():
    flow, plain = LinearGaussian(2).double(), Gaussian(2).double()
    flow.initialize(X)
    plain.initialize(X)
    torch.testing.assert_close(flow.log_prob(X), plain.log_prob(X))


@pytest.mark.parametrize(
    "more",
    [
        torch.ones(300, 1),  # a constant
        CONTEXT[:, :1] * 2 - CONTEXT[:, 1:2],  # a linear combination of the others
        torch.nn.functional.one_hot(torch.arange(300) % 2, 2),  # which sum to one
    ],
)
def test_contexts_may_depend_on_each_other(more):
    flow = fitted(X, torch.cat([CONTEXT, more.double()], dim=1))
    found = flow.log_prob(X, torch.cat([CONTEXT, more.double()], dim=1))
    assert found.mean() >= fitted(X, CONTEXT).log_prob(X, CONTEXT).mean() - 1e-9
    assert found.isfinite().all()


def test_a_perfect_fit_is_refused_in_words():
    with pytest.raises(ValueError, match=r"feature 1 .* is a linear function of the context"):
        fitted(CONTEXT[:, :2], CONTEXT)
