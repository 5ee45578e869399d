"""Flows around flows: what a user knows of the inner flow holds for the outer one."""

import math

import numpy as np
import pytest
import torch
from torch import nn

import flowbench
from flowbench.data import DataError
from flowbench.flows import (
    MADE,
    MAF,
    Blockwise,
    Gaussian,
    Histogram,
    Johnson,
    LatticeMADE,
    MixedMADE,
    Mixture,
    SharedBlocks,
)

WRAPPERS = {
    "mixture": lambda flow: Mixture([flow]),
    "blockwise": lambda flow: Blockwise([flow]),
    "shared blocks": lambda flow: SharedBlocks(flow, blocks=1),
    "johnson": Johnson,
}
ALL = pytest.mark.parametrize("wrapped", WRAPPERS.values(), ids=WRAPPERS)
QUICK = {"max_epochs": 2, "progress": False}


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@ALL
def test_angles_stay_angles(wrapped):
    x = torch.remainder(2.5 + 0.7 * torch.randn(500, 1) + math.pi, 2 * math.pi) - math.pi
    flow = wrapped(MAF(1, circular=[0], layers=1, hidden_units=[8]))
    assert list(flow.circular) == [0]
    grid = torch.linspace(-math.pi, math.pi, 2001)
    density = flowbench.fit(flow, x, **QUICK)
    mass = torch.trapezoid(density.log_prob(grid[:, None]).exp(), grid)
    assert mass.item() == pytest.approx(1, abs=1e-3)


def test_members_of_a_mixture_agree_on_angles():
    with pytest.raises(ValueError, match="different features for angles"):
        Mixture([MAF(2, circular=[0]), MAF(2, circular=[1])])


@ALL
def test_an_embedding_is_in_front_of_what_initializes(wrapped):
    context = torch.randn(300, 2)
    x = context.sum(-1, keepdim=True) + 0.1 * torch.randn(300, 1)
    embedding = nn.Linear(2, 1)
    nn.init.constant_(embedding.weight, 5.0)
    bare = MAF(1, context_features=1, layers=2, hidden_units=[8], seed=0)
    for parameter in bare.parameters():
        nn.init.normal_(parameter, 0, 0.5)
    flow = wrapped(bare)
    flow.embedding = embedding
    for method in ("initialize", "recompute_statistics"):
        getattr(flow, method)(x, context)
    found = flow.eval().log_prob(x, context)
    bare.train().recompute_statistics(x, embedding(context).detach())
    expected = bare.eval().log_prob(x, embedding(context))
    if not isinstance(flow, Johnson) or not flow.transform.curved.any():
        torch.testing.assert_close(found, expected)


@ALL
def test_rows_on_points_are_not_standardized(wrapped):
    levels = LatticeMADE(2, lattice={"levels": 4}, hidden_units=[8])
    atoms = MixedMADE(2, measure={"columns": [{"atoms": [0.0]}, {}]}, hidden_units=[8])
    for inner in (levels, atoms):
        with pytest.raises(ValueError, match="pass standardized=False"):
            flowbench.fit(wrapped(inner), torch.rand(100, 2) * 3, **QUICK)


def test_the_state_of_a_mixture_has_its_weights():
    def mixture(weights=None):
        parts = Gaussian(1), Gaussian(1)
        parts[1].initialize(torch.tensor([[9.0], [11.0]]))
        return Mixture(parts, weights=weights).eval()

    one, other, x = mixture(np.array([0.9, 0.1])), mixture(), torch.zeros(1, 1)
    other.load_state_dict(one.state_dict())
    assert torch.equal(one.log_prob(x), other.log_prob(x))


def points(flow):
    """Rows in the cells of four levels, of which the second depends on the first."""
    k = torch.randint(0, 4, (600, 2))
    k[:, 1] = torch.where(torch.rand(600) < 0.9, 3 - k[:, 0], k[:, 1])
    return k + torch.rand(600, 2) * 0.99


LEVELS = {"levels": 4, "origin": 0.0, "step": 1.0}
CONTINUED = {
    "levels": lambda: LatticeMADE(2, lattice={"levels": 4}, hidden_units=[16]),
    "mixed": lambda: MixedMADE(
        2, measure={"columns": [LEVELS, {"atoms": [1.5]}]}, hidden_units=[16]
    ),
}


@pytest.mark.parametrize("name", CONTINUED)
def test_a_second_fit_goes_on_from_the_first(name):
    flow = CONTINUED[name]()
    x = points(flow)
    x[:200, 1] = 1.5
    x = x[torch.randperm(600)]
    first = flowbench.fit(flow, x, max_epochs=5, learning_rate=1e-2, standardized=False)
    other = x[x[:, 0] > 1]
    again = flowbench.fit(flow, other, max_epochs=1, learning_rate=1e-12, standardized=False)
    torch.testing.assert_close(again.log_prob(x), first.log_prob(x), rtol=1e-4, atol=1e-4)


SAVED = {
    "0 and 1": lambda: (MADE(2, family="bernoulli"), torch.rand(100, 2).round()),
    "one column of levels": lambda: (
        Histogram(1, lattice={"levels": 4}), torch.randint(0, 4, (100, 1)) + 0.5
    ),
    "one column, trained": lambda: (
        LatticeMADE(1, lattice={"levels": 4}), torch.randint(0, 4, (100, 1)) + 0.5
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SAVED)
def test_they_are_saved(name, tmp_path):
    flow, x = SAVED[name]()
    density = flowbench.fit(flow, x, standardized=False, **QUICK)
    density.save(tmp_path / "density.ckpt")
    again = flowbench.load(tmp_path / "density.ckpt")
    torch.testing.assert_close(again.log_prob(x), density.log_prob(x))


def test_masked_cells_of_an_array_are_missing():
    rng = np.random.default_rng(0)
    x, masked = rng.normal(size=(500, 2)), rng.random((500, 2)) < 0.2
    told = flowbench.fit(Gaussian(2), np.where(masked, np.nan, x))
    x[masked] = -999
    found = flowbench.fit(Gaussian(2), np.ma.masked_array(x, masked))
    at = torch.zeros(1, 2)
    assert torch.equal(found.log_prob(at), told.log_prob(at))


def test_classes_in_one_hot_form_stay_so():
    x, classes = torch.randn(200, 2), torch.eye(2)[torch.randint(0, 2, (200,))]
    density = flowbench.fit(Gaussian(2, context_features=2), x + 5 * classes, classes)
    assert density.log_prob(x + 5 * classes, classes).mean() > -3.2


def test_columns_of_one_name_are_refused():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(np.random.default_rng(0).random((50, 3)), columns=["a", "b", "a"])
    with pytest.raises(DataError, match=r"x has several columns of one name \('a'\): rename"):
        flowbench.fit(Gaussian(3), frame)
