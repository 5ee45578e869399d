"""Coverage of regions of highest density, and samples told from rows."""

import pytest
import torch

from flowbench.data import Rows
from flowbench.evaluation.calibration import LEVELS, calibration, two_sample_test
from flowbench.flows import MADE, Gaussian, Histogram

CONTEXT = torch.randn(5000, 2, generator=torch.Generator().manual_seed(0))


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def rows_of(x, context=None):
    return Rows(x, context, torch.zeros(len(x)))


def drawn(flow, n, context=None):
    torch.manual_seed(5)
    return rows_of(flow.eval().sample(() if context is not None else n, context), context)


def made(**options):
    torch.manual_seed(0)
    flow = MADE(2, hidden_units=[8], **options)
    for parameter in flow.parameters():
        torch.nn.init.normal_(parameter, 0, 0.3)
    return flow


CALIBRATED = {
    "gaussian": (lambda: Gaussian(3), None),
    "given contexts": (lambda: made(context_features=2), CONTEXT[:1000]),
    "binary": (lambda: made(family="bernoulli"), None),
    "levels": (lambda: Histogram(2, lattice={"levels": 3}), None),
}


@pytest.mark.parametrize("name", CALIBRATED)
def test_rows_of_the_density_itself_are_covered_as_often_as_said(name):
    make, context = CALIBRATED[name]
    flow = make()
    found = calibration(flow, drawn(flow, 1000, context))
    assert [one["level"] for one in found["coverage"]] == list(LEVELS)
    for one in found["coverage"]:
        assert abs(one["share"] - one["level"]) < 2 * one["two_standard_errors"]
    assert abs(found["two_sample"]["auroc"] - 0.5) < 2 * found["two_sample"]["two_standard_errors"]


@pytest.mark.parametrize(("scale", "sign"), [(1.3, -1), (0.7, 1)])
def test_rows_of_another_width_are_not(scale, sign):
    found = calibration(Gaussian(3), rows_of(scale * torch.randn(1000, 3)))
    for one in found["coverage"][:3]:
        assert sign * (one["share"] - one["level"]) > one["two_standard_errors"]
    assert found["two_sample"]["auroc"] > 0.53


@pytest.mark.parametrize("context", [None, CONTEXT], ids=["alone", "given contexts"])
@pytest.mark.parametrize(("cost", "fewest", "most"), [(0.0, 500, 2000), (1.0, 100, 400)])
def test_fewer_rows_are_looked_at_where_time_is_short(context, cost, fewest, most):
    flow = made(context_features=0 if context is None else 2)
    times = iter([0.0, cost])  # of the first samples
    found = calibration(
        flow, rows_of(torch.randn(5000, 2), context), seconds=10.0, clock=lambda: next(times)
    )
    assert fewest <= found["rows"] <= most
    assert found["uniformity"]["rows"] <= found["rows"]


def test_it_is_repeatable_and_leaves_the_callers_random_numbers():
    rows = rows_of(torch.randn(200, 2))
    before = torch.get_rng_state()
    assert calibration(Gaussian(2), rows) == calibration(Gaussian(2), rows)
    assert torch.equal(torch.get_rng_state(), before)


def test_contexts_of_both_do_not_tell_them_apart():
    context = torch.randn(500, 4).numpy()
    x, samples = torch.randn(2, 500, 2).numpy()
    found = two_sample_test(x, samples, context)
    assert abs(found["auroc"] - 0.5) < 2 * found["two_standard_errors"]


def test_few_rows_and_many_features_are_left_out():
    assert calibration(Gaussian(2), rows_of(torch.randn(5, 2)))["two_sample"] is None
    assert calibration(Gaussian(4097), rows_of(torch.randn(5, 4097))) is None


def test_the_error_counts_the_samples_that_were_drawn():
    """Of many features fewer samples are drawn, and the shares are less certain."""
    few, many = (
        calibration(Gaussian(features), rows_of(torch.randn(30, features)))["coverage"][0]
        for features in (2, 2000)
    )
    assert few["two_standard_errors"] == pytest.approx((1 / 30 + 1 / 10_000) ** 0.5)
    assert many["two_standard_errors"] == pytest.approx((1 / 30 + 1 / 1000) ** 0.5)
