"""A weight is how often a row comes: in closed forms, starts, statistics and gradients."""

import pytest
import torch

import flowbench
from flowbench.data import Batch
from flowbench.flows import (
    MADE,
    MAF,
    Blockwise,
    Flow,
    Gaussian,
    GaussianMixture,
    Histogram,
    Johnson,
    LatticeMADE,
    LinearGaussian,
    Mixture,
    RealNVP,
    SharedBlocks,
    StandardNormal,
)
from flowbench.training.engines.plain import Plain
from flowbench.training.flat import FlatParameters
from flowbench.training.maximum_likelihood import MaximumLikelihood
from flowbench.transforms import ActNorm, Transform

GENERATOR = torch.Generator().manual_seed(0)
ROWS = torch.randn(200, 4, generator=GENERATOR, dtype=torch.float64)
ROWS[:70] += torch.tensor([4.0, -3.0, 2.0, 0.0])
COUNTS = torch.randint(1, 4, (200,), generator=GENERATOR)
CLASSES = torch.nn.functional.one_hot(torch.arange(200) % 2, 2).double()
CONTEXTS = torch.stack([ROWS[:, 1] ** 2, torch.ones(200, dtype=torch.float64)], dim=-1)
HOLES = ROWS.masked_fill(torch.rand(200, 4, generator=GENERATOR) < 0.2, torch.nan)
LEVELS = ROWS.clamp(-3, 3) + 4
SMALL = {"layers": 2, "hidden_units": [6], "seed": 0}

CLOSED_FORMS = {
    "Gaussian": (lambda: Gaussian(4), ROWS, None),
    "Gaussian of classes": (lambda: Gaussian(4, context_features=2), ROWS, CLASSES),
    "LinearGaussian": (lambda: LinearGaussian(4, context_features=2), ROWS, CONTEXTS),
    "Gaussian, missing cells": (lambda: Gaussian(4), HOLES, None),
    "GaussianMixture": (lambda: GaussianMixture(4, components=3), ROWS, None),
    "GaussianMixture of classes": (
        lambda: GaussianMixture(4, components=2, context_features=2),
        ROWS,
        CLASSES,
    ),
    "GaussianMixture, missing cells": (lambda: GaussianMixture(4, components=3), HOLES, None),
    "Histogram": (lambda: Histogram(4, lattice={"levels": 8}), LEVELS, None),
    "Histogram of classes": (
        lambda: Histogram(4, context_features=2, lattice={"levels": 8}),
        LEVELS,
        CLASSES,
    ),
    "Blockwise": (lambda: Blockwise([Gaussian(1), Gaussian(3)]), ROWS, None),
    "SharedBlocks": (lambda: SharedBlocks(Gaussian(2), blocks=2), ROWS, None),
    "Mixture": (lambda: Mixture([Gaussian(4), Gaussian(4)]), ROWS, None),
    "Johnson": (lambda: Johnson(Gaussian(4)), ROWS.exp(), None),
    "ActNorm": (lambda: Flow(StandardNormal(4), ActNorm(4)), ROWS, None),
    "levels of a lattice": (
        lambda: LatticeMADE(4, hidden_units=[4], seed=0, lattice={"levels": 8}),
        LEVELS,
        None,
    ),
}


def repeated(x):
    """Rows as often as they count, in another order."""
    if x is None:
        return None
    order = torch.randperm(int(COUNTS.sum()), generator=torch.Generator().manual_seed(1))
    return x.repeat_interleave(COUNTS, 0)[order]


@pytest.mark.parametrize("name", CLOSED_FORMS)
@pytest.mark.parametrize("scale", [1.0, 0.37])
def test_closed_forms_and_starts_from_data(name, scale):
    make, x, context = CLOSED_FORMS[name]
    flows = []
    for rows in ((repeated(x), repeated(context)), (x, context, scale * COUNTS.double())):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            flow = make().double()
        flow.initialize(*rows)
        flows.append(flow.eval())
    weighted, often = (flow.log_prob(x, context) for flow in flows)
    torch.testing.assert_close(weighted, often, rtol=1e-7, atol=1e-7)


def test_all_rows_twice_are_all_rows_once():
    for make in (Gaussian, GaussianMixture):
        once, twice = make(4).double(), make(4).double()
        once.initialize(ROWS)
        twice.initialize(torch.cat([ROWS, ROWS]))
        torch.testing.assert_close(once.log_prob(ROWS), twice.log_prob(ROWS), rtol=1e-7, atol=1e-7)


FLOWS = {
    "MAF": lambda: MAF(4, **SMALL),
    "MAF, batch norms of all rows": lambda: MAF(4, **SMALL, batch_norm_statistics="running"),
    "RealNVP": lambda: RealNVP(4, **SMALL),
    "MADE": lambda: MADE(4, hidden_units=[6], seed=0),
    "blocks with shared weights": lambda: SharedBlocks(MAF(2, **SMALL), blocks=2),
}


def module_of(make):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = MaximumLikelihood(make().double())
    module.flat = FlatParameters(module)
    module.arithmetic = Plain(module)
    module.arithmetic.begin()
    return module


@pytest.mark.parametrize("name", FLOWS)
def test_gradients_and_statistics_of_all_rows(name):
    weight = COUNTS / COUNTS.double().mean()
    weighted, often = module_of(FLOWS[name]), module_of(FLOWS[name])
    one = weighted.arithmetic.gradient(Batch(ROWS, None, weight))
    other = often.arithmetic.gradient(Batch(repeated(ROWS), None))
    assert one[0] / one[1] == pytest.approx(other[0] / other[1])
    torch.testing.assert_close(weighted.flat.gradients, often.flat.gradients)
    weighted.flow.recompute_statistics(ROWS, None, weight)
    often.flow.recompute_statistics(repeated(ROWS))
    for flow in (weighted.flow, often.flow):
        flow.eval()
    torch.testing.assert_close(weighted.flow(ROWS), often.flow(ROWS))


class Own(Flow):
    """Someone's flow, which knows no weights."""

    def initialize(self, x, context=None):
        self.seen = len(x)


class OwnTransform(Transform):
    def forward(self, u, context=None):
        return u, u.new_zeros(u.shape[:-1])

    def inverse(self, x, context=None):
        return x, x.new_zeros(x.shape[:-1])

    def initialize(self, x, context=None):
        self.seen = len(x)


def test_flows_that_know_no_weights_go_on_working_and_are_not_fitted_to_them():
    flow = Own(StandardNormal(4), OwnTransform())
    flowbench.fit(flow, ROWS.float())
    assert flow.seen == 200
    with pytest.raises(ValueError, match=r"^Own\.initialize takes no weights of rows: expected"):
        flowbench.fit(flow, ROWS.float(), weights=COUNTS)
    with pytest.raises(ValueError, match=r"^OwnTransform\.initialize takes no weights"):
        Flow(StandardNormal(4), OwnTransform()).initialize(ROWS.float(), None, COUNTS)
