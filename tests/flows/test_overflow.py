"""No log-density overflows to NaN: far from all data it is −inf."""

import pytest
import torch
from test_properties import EITHER, build, events, one_hot

from flowbench.flows import MAF, AutoregressiveTransform, Flow
from flowbench.nn import AutoregressiveNetwork

SCALES = (1e4, 1e10, 1e20, 1e30, 1e38)


def heavy_tailed(name, scale, rows=50):
    """Rows of a t distribution with 2 degrees of freedom, by whose scale a float32 overflows."""
    if name == "made_bernoulli":
        return events(name, rows, 3).float()
    x = torch.distributions.StudentT(2.0).sample((rows, 3))
    return (scale * x).clamp(-3e38, 3e38)


@EITHER
def test_log_prob_of_numbers_is_a_number(name, classes):
    flow = build(name, classes, noise=1.0).float()
    for scale in SCALES:
        x = heavy_tailed(name, scale)
        context = one_hot(len(x)).float() if classes else None
        with torch.no_grad():
            log_prob = flow.log_prob(x, context)
        assert not log_prob.isnan().any(), f"scale {scale}"
        assert not (log_prob == torch.inf).any(), f"scale {scale}"


def test_inf_less_inf_is_no_density():
    """A value that overflows in the first layer, and would be NaN behind the second."""
    flow = MAF(3, layers=3, hidden_units=[8], activation="relu", log_scale_bound=None, seed=0)
    x = torch.full((1, 3), 3e38)
    assert flow.train().log_prob(x.expand(4, -1) * torch.randn(4, 3)).isnan().any()
    assert flow.eval().log_prob(x).item() == -torch.inf


def test_nan_that_is_given_stays():
    flow = MAF(2, context_features=1, layers=1, hidden_units=[4]).eval()
    x = torch.tensor([[0.0, float("nan")], [0.0, torch.inf], [0.0, 0.0], [0.0, 0.0]])
    context = torch.tensor([[0.0], [0.0], [float("nan")], [0.0]])
    log_prob = flow.log_prob(x, context)
    assert log_prob.isnan().tolist() == [True, False, True, False]
    assert log_prob[1] == -torch.inf


def test_it_is_no_density_as_a_distribution_either():
    x = torch.full((1, 3), 3e38)
    options = {"hidden_units": [8], "activation": "relu", "log_scale_bound": None, "seed": 0}
    flow = MAF(3, layers=3, context_features=2, **options)
    embedded = Flow(flow.base, flow.transform, torch.nn.Linear(1, 2)).eval()
    assert embedded.distribution(torch.zeros(1)).log_prob(x).item() == -torch.inf
    layer = AutoregressiveTransform(AutoregressiveNetwork(3, seed=0)).eval()
    normal = torch.distributions.Normal(torch.zeros(3), torch.ones(3), validate_args=False)
    distribution = layer(torch.distributions.Independent(normal, 1))
    assert distribution.log_prob(torch.full((1, 3), torch.inf)).item() == -torch.inf


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_what_does_not_overflow_is_as_before(activation):
    flow = MAF(3, layers=2, activation=activation, batch_norm=False, seed=0)
    x = torch.randn(20, 3)
    torch.testing.assert_close(flow.eval().log_prob(x), flow.train().log_prob(x))
