"""Gaussians and their mixtures where cells are missing (NaN), or have given values."""

import pytest
import torch
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
        ({"z": 1}, "'z' is no modelled column; they are"),
        ({}, "0 of 3 columns are given, expected at least one"),
        ({"x[:, 0]": "thirty"}, "expected a finite number"),
    ):
        with pytest.raises(ValueError, match=told):
            density.conditional(values)
    other = flowbench.fit(MAF(3, layers=1), X, max_epochs=1)
    with pytest.raises(ValueError, match=r"^MAF has no density of some columns given others"):
        other.conditional({"x[:, 0]": 1.0})
