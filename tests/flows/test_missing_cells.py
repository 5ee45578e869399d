"""Gaussians and their mixtures where cells are missing (NaN), or have given values."""

import numpy as np
import pandas as pd
import pytest
import torch
from run_commands import train
from torch.distributions import Categorical, MixtureSameFamily, MultivariateNormal

import flowbench
from flowbench.data import DataError
from flowbench.flows import MAF, Gaussian, GaussianMixture

NAN = torch.nan
GENERATOR = torch.Generator().manual_seed(0)
X = torch.randn(500, 3, generator=GENERATOR, dtype=torch.float64)
X = X @ torch.tensor([[2.0, 1.0, 0.3], [0.0, 1.0, 0.5], [0.0, 0.0, 0.7]]).double() + 5
X[:200] -= torch.tensor([6.0, 0.0, 3.0])
CLASSES = torch.nn.functional.one_hot(torch.arange(500) % 2, 2).double()


def fitted(name):
    make, context = FLOWS[name]
    flow = make().double()
    flow.initialize(X, context)
    return flow


FLOWS = {
    "gaussian": (lambda: Gaussian(3), None),
    "mixture": (lambda: GaussianMixture(3, components=3), None),
    "gaussian of classes": (lambda: Gaussian(3, context_features=2), CLASSES),
    "mixture of classes": (lambda: GaussianMixture(3, components=2, context_features=2), CLASSES),
}


def reference(flow, label, columns):
    """The density of some columns, by PyTorch."""
    weights, means, factors = flow.mixtures()[label]
    covariances = (factors @ factors.mT)[:, columns][:, :, columns]
    parts = MultivariateNormal(means[:, columns], covariances)
    return MixtureSameFamily(Categorical(logits=weights), parts)


@pytest.mark.parametrize("name", FLOWS)
@pytest.mark.parametrize("columns", [[0], [2], [0, 2], [1, 2], [0, 1, 2]])
def test_a_row_with_missing_cells_has_the_marginal_density(name, columns):
    flow, context = fitted(name), FLOWS[name][1]
    holes = torch.full_like(X, NAN)
    holes[:, columns] = X[:, columns]
    found = flow.log_prob(holes, context)
    labels = [None] if context is None else [0, 1]
    for label in labels:
        own = slice(None) if label is None else context[:, label] == 1
        expected = reference(flow, label or 0, columns).log_prob(X[own][:, columns])
        torch.testing.assert_close(found[own], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", FLOWS)
@pytest.mark.parametrize("given", [[0], [1, 2], [2, 0]])
def test_a_conditional_times_a_marginal_is_the_density(name, given):
    flow, context = fitted(name), FLOWS[name][1]
    others = [column for column in range(3) if column not in given]
    for row in range(4):
        own = None if context is None else context[row]
        marginal = X[row].clone()
        marginal[others] = NAN
        conditional = flow.conditional({column: X[row, column].item() for column in given})
        found = conditional.log_prob(X[row, others], own) + flow.log_prob(marginal, own)
        torch.testing.assert_close(found, flow.log_prob(X[row], own), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", FLOWS)
def test_nothing_present_has_a_density_of_one(name):
    flow, context = fitted(name), FLOWS[name][1]
    found = flow.log_prob(torch.full_like(X, NAN), context)
    torch.testing.assert_close(found, torch.zeros_like(found))


def test_a_monotone_pattern_has_the_estimate_of_two_regressions():
    """The maximum-likelihood estimate is then known in closed form (Anderson 1957)."""
    x, known = X.clone(), slice(0, 300)
    x[300:, 2] = NAN
    flow = Gaussian(3).double()
    flow.initialize(x)
    inputs = torch.cat([torch.ones(500, 1).double(), X[:, :2]], 1)
    slopes = torch.linalg.lstsq(inputs[known], X[known, 2:]).solution
    expected = torch.cat([X[:, :2].mean(0), (inputs @ slopes).mean(0)])
    torch.testing.assert_close(flow.transform.mean, expected, rtol=1e-6, atol=1e-6)
    centred = X[:, :2] - X[:, :2].mean(0)
    within = flow.transform.cholesky @ flow.transform.cholesky.mT
    torch.testing.assert_close(within[:2, :2], centred.mT @ centred / 500, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(within[2, :2], within[:2, :2] @ slopes[1:, 0], rtol=1e-5, atol=1e-5)


def test_a_mixture_is_found_beneath_holes_at_random():
    centres = torch.tensor([[-5.0, 0.0], [5.0, 3.0]])
    labels = torch.arange(4000) % 2
    x = centres[labels] + torch.randn(4000, 2, generator=GENERATOR)
    holes = x.masked_fill(torch.rand(4000, 2, generator=GENERATOR) < 0.3, NAN)
    flow = GaussianMixture(2, components=2).double()
    flow.initialize(holes)
    [one] = flow.mixtures()
    order = one.means[:, 0].argsort()
    torch.testing.assert_close(one.means[order], centres.double(), atol=0.15, rtol=0)
    covariances = one.factors @ one.factors.mT
    torch.testing.assert_close(
        covariances, torch.eye(2).double().expand(2, 2, 2), atol=0.15, rtol=0
    )


def test_columns_that_are_dependent_where_both_are_present_are_refused():
    x = X.clone()
    x[:, 1] = 2 * x[:, 0] + 1
    x[::3, 1], x[1::3, 0] = NAN, NAN
    with pytest.raises(ValueError, match="singular at feature 2"):
        Gaussian(3).initialize(x)


def test_densities_stay_differentiable_and_broadcast():
    flow = fitted("mixture")
    x = X[:6].clone().requires_grad_()
    holes = torch.where(torch.tensor([True, False, True]), x, NAN).reshape(2, 3, 3)
    flow.log_prob(holes).sum().backward()
    assert x.grad.isfinite().all()
    assert (x.grad[:, 1] == 0).all()
    assert (x.grad[:, 0] != 0).all()


def test_other_flows_give_nan_and_are_not_fitted():
    assert MAF(3).eval().log_prob(torch.tensor([[1.0, NAN, 0.0]])).isnan().all()
    with pytest.raises(DataError, match="fit Gaussian or GaussianMixture"):
        flowbench.fit(MAF(3), torch.full((50, 3), NAN))


@pytest.fixture(scope="module")
def density():
    x = X.clone()
    x[::7, 1] = NAN
    x[3::11, 0] = NAN
    return flowbench.fit(GaussianMixture(3, components=2), x)


def test_a_density_in_data_units_counts_log_determinants_of_present_cells(density):
    """Integrated over the missing column, the density is that of the others."""
    row = X[1].clone()
    grid = torch.linspace(-15, 20, 4001).double()
    rows = row.repeat(4001, 1)
    rows[:, 1] = grid
    integral = torch.trapezoid(density.log_prob(rows).exp(), grid)
    row[1] = NAN
    assert density.log_prob(row).exp().item() == pytest.approx(integral.item(), rel=1e-4)


def test_conditionals_in_data_units_are_saved_and_told_what_is_wrong(density, tmp_path):
    conditional = density.conditional({"x[:, 0]": 5.0, "x[:, 2]": 4.0})
    grid = torch.linspace(-15, 20, 4001).double()
    scores = conditional.log_prob(grid[:, None])
    assert torch.trapezoid(scores.exp(), grid).item() == pytest.approx(1, abs=1e-4)
    rows = torch.stack([torch.full_like(grid, 5), grid, torch.full_like(grid, 4)], 1)
    marginal = density.log_prob(torch.tensor([5.0, NAN, 4.0]).double())
    torch.testing.assert_close(scores + marginal, density.log_prob(rows), rtol=1e-4, atol=1e-4)
    conditional.save(tmp_path / "conditional.ckpt")
    again = flowbench.load(tmp_path / "conditional.ckpt")
    torch.testing.assert_close(again.log_prob(grid[:, None]), scores)
    assert again.feature_names == ["x[:, 1]"]
    for values, told in (
        ({"z": 1}, "'z' is not a modelled column; they are"),
        ({}, "0 of 3 columns are given, expected at least one"),
        ({"x[:, 0]": "thirty"}, "expected a finite number"),
    ):
        with pytest.raises(ValueError, match=told):
            density.conditional(values)
    other = flowbench.fit(MAF(3, layers=1), X, max_epochs=1)
    with pytest.raises(ValueError, match=r"^MAF has no density of some columns given others"):
        other.conditional({"x[:, 0]": 1.0})


def trained(folder, *words):
    path, _ = train(folder, "figures=false", "logger=none", *words)
    return flowbench.load(path)


@pytest.mark.parametrize("order", ["raster", "reversed"])
def test_pixels_in_another_order_have_the_same_marginals_and_conditionals(tmp_path, order):
    density = trained(tmp_path, "model=gaussian", "data=digits", f"data.pixel_order={order}")
    torch.manual_seed(0)
    x = density.sample(1)
    known = {name: x[0, place].item() for place, name in enumerate(density.feature_names[:60])}
    part = torch.cat([x[:, :60], torch.full((1, 4), NAN)], 1)
    conditional = density.conditional(known)
    joint = conditional.log_prob(x[:, 60:]) + density.log_prob(part)
    torch.testing.assert_close(joint, density.log_prob(x), rtol=1e-5, atol=1e-3)
    assert conditional.sample(5).shape == (5, 4)


@pytest.mark.parametrize("model", ["gaussian", "gaussian_mixture"])
def test_a_level_stands_for_its_cell_in_a_conditional(tmp_path, model):
    rng = np.random.default_rng(0)
    rooms = rng.integers(1, 7, 4000)
    rent = (10 * rooms + rng.normal(size=4000)).round(6)
    pd.DataFrame({"rooms": rooms, "rent": rent}).to_csv(tmp_path / "rows.csv", index=False)
    words = ["data=table", f"data.path={tmp_path / 'rows.csv'}", "data.dequantize=true"]
    density = trained(tmp_path, f"model={model}", *words)
    mean = density.conditional({"rooms": 3}).sample(20_000).mean().item()
    assert mean == pytest.approx(30, abs=0.7)
