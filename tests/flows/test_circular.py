"""Flows of events some of whose features are angles: densities on circles, and on both."""

import math

import pytest
import torch
from torch import nn

from flowbench.flows import IAF, MAF, NICE, RealNVP

SMALL = {"layers": 2, "hidden_units": [8], "activation": "tanh", "seed": 1}
FLOWS = {
    "maf": lambda features, **given: MAF(features, **SMALL, **given),
    "maf spline": lambda features, **given: MAF(features, univariate="spline", **SMALL, **given),
    "maf random order": lambda features, **given: MAF(
        features, input_order="random", batch_norm_side="data", **SMALL, **given
    ),
    "maf residual": lambda features, **given: MAF(features, residual=True, **SMALL, **given),
    "iaf": lambda features, **given: IAF(features, batch_norm=True, **SMALL, **given),
    "realnvp": lambda features, **given: RealNVP(features, **SMALL, **given),
    "realnvp spline": lambda features, **given: RealNVP(
        features, univariate="spline", bins=5, **SMALL, **given
    ),
}
ANGLES = {"first": [0], "last": [1], "both": [0, 1]}
ALL = pytest.mark.parametrize("name", FLOWS)


def build(name, circular, *, features=2, **given):
    """A flow far from the identity, in float64, its batch norms as after training."""
    torch.manual_seed(0)
    flow = FLOWS[name](features, circular=circular, **given).double()
    for parameter in flow.parameters():
        nn.init.normal_(parameter, 0, 0.4)
    x = torch.randn(100, features, dtype=torch.float64)
    context = None if "context_features" not in given else torch.randn(100, 1).double()
    flow.recompute_statistics(x, context)
    return flow.eval()


def turns(n, circular, *, features=2):
    """Whole turns of the angles, by −2 … 2 in turn."""
    which = torch.tensor([feature in circular for feature in range(features)])
    return 2 * math.pi * which.double() * (torch.arange(n) % 5 - 2).unsqueeze(-1)


def axis(periodic, points):
    """Points of an axis and their lengths."""
    if periodic:
        v = (torch.arange(points).double() + 0.5) / points
        return 2 * math.pi * v - math.pi, torch.full((points,), 2 * math.pi / points).double()
    v = torch.linspace(-5, 5, points, dtype=torch.float64)
    return v.sinh(), v.cosh() * (v[1] - v[0])


@ALL
@pytest.mark.parametrize("circular", ANGLES.values(), ids=ANGLES)
def test_mass_over_a_period_is_one(name, circular):
    flow = build(name, circular)
    axes = [axis(feature in circular, 201) for feature in range(2)]
    points = torch.cartesian_prod(*[values for values, _ in axes])
    areas = torch.cartesian_prod(*[lengths for _, lengths in axes]).prod(-1)
    with torch.no_grad():
        assert (flow.log_prob(points).exp() * areas).sum().item() == pytest.approx(1, abs=0.02)


@ALL
@pytest.mark.parametrize("circular", ANGLES.values(), ids=ANGLES)
def test_density_is_periodic_and_continuous_at_the_seam(name, circular):
    flow = build(name, circular)
    x = torch.randn(40, 2, dtype=torch.float64)
    torch.testing.assert_close(flow.log_prob(x + turns(40, circular)), flow.log_prob(x))
    for feature in circular:
        below, above = x.clone(), x.clone()
        below[:, feature], above[:, feature] = math.pi - 1e-7, -math.pi + 1e-7
        close = {"rtol": 1e-4, "atol": 1e-4}
        torch.testing.assert_close(flow.log_prob(below), flow.log_prob(above), **close)


@ALL
@pytest.mark.parametrize("circular", ANGLES.values(), ids=ANGLES)
def test_samples_have_the_density_that_they_claim(name, circular):
    flow = build(name, circular)
    x, log_prob = flow.sample_and_log_prob(2000)
    torch.testing.assert_close(flow.log_prob(x), log_prob)
    assert (x[:, circular].abs() <= math.pi).all()
    u, _ = flow.transform.inverse(x)
    back, _ = flow.transform(u)
    apart = torch.remainder(back - x + 1, 2 * math.pi) - 1 if len(circular) == 2 else back - x
    for feature in circular:
        apart[:, feature] = torch.remainder(apart[:, feature] + 1, 2 * math.pi) - 1
    torch.testing.assert_close(apart, torch.zeros_like(apart), rtol=0, atol=1e-7)


@ALL
def test_samples_of_an_angle_are_distributed_by_the_density(name):
    flow = build(name, [0], features=1)
    values, lengths = axis(True, 400)
    with torch.no_grad():
        expected = (flow.log_prob(values.unsqueeze(-1)).exp() * lengths).cumsum(0)
    torch.manual_seed(3)
    samples = flow.sample(5000).flatten()
    found = (samples.unsqueeze(-1) <= values + lengths / 2).double().mean(0)
    assert (found - expected).abs().max() < 1.9 / math.sqrt(5000)  # exceeded once in 700


@ALL
def test_log_det_is_that_of_the_jacobian_and_contexts_are_used(name):
    flow = build(name, [1, 2], features=4, context_features=1)
    x, context = torch.randn(4).double(), torch.ones(1).double()
    for direction in (flow.transform.inverse, flow.transform.forward):
        matrix = torch.autograd.functional.jacobian(lambda v, to=direction: to(v, context)[0], x)
        torch.testing.assert_close(direction(x, context)[1], torch.linalg.slogdet(matrix)[1])
    assert not torch.equal(flow.log_prob(x, context), flow.log_prob(x, -context))


@ALL
def test_float32_samples_stay_on_the_circle_and_gradients_are_finite(name):
    flow = build(name, [1]).float()
    x = torch.tensor([[0.0, math.pi], [0.0, -math.pi], [1.0, 0.0], [1e3, 1e4]]).requires_grad_()
    flow.log_prob(x).sum().backward()
    assert x.grad.isfinite().all()
    assert all(p.grad.isfinite().all() for p in flow.parameters() if p.grad is not None)
    assert (flow.sample(5000)[:, 1].abs() <= 3.1415930).all()


REFUSED = {
    "mixture": (lambda: MAF(2, circular=[0], base="mixture"), "base='mixture'"),
    "lu": (lambda: MAF(2, circular=[0], lu_linear=True), "lu_linear=True would mix angles"),
    "separate": (lambda: RealNVP(2, circular=[0], networks="separate"), "networks='separate'"),
    "beyond": (lambda: MAF(2, circular=[2]), r"circular=\[2\]: expected different features"),
    "twice": (lambda: RealNVP(2, circular=[1, 1]), r"circular=\[1, 1\]: expected different"),
}


@pytest.mark.parametrize(("make", "sentence"), REFUSED.values(), ids=REFUSED)
def test_what_angles_cannot_be_is_refused(make, sentence):
    with pytest.raises(ValueError, match=sentence):
        make()


def test_a_flow_without_circular_splines_has_no_such_option():
    with pytest.raises(TypeError, match="circular is not an option of NICE"):
        NICE(2, circular=[0])


@ALL
def test_construction_on_the_meta_device(name):
    with torch.device("meta"):
        flow = FLOWS[name](2, circular=[0])
    assert all(value.is_meta for value in flow.state_dict().values())
