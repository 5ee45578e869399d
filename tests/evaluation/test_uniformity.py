"""Distribution functions at held-out rows: told by column, row and context."""

import pytest
import torch

from flowbench.data import Rows
from flowbench.evaluation.calibration import calibration
from flowbench.evaluation.text import calibration_lines
from flowbench.evaluation.uniformity import distances, uniformity
from flowbench.flows import MADE, Flow, Gaussian, Histogram, StandardNormal
from flowbench.transforms import Chain, Standardize

NAMES = ["age", "height", "weight"]


def rows_of(x, context=None, weight=None):
    return Rows(x, context, torch.zeros(len(x)), weight)


def normal(n, columns=3):
    return torch.randn(n, columns, generator=torch.Generator().manual_seed(4))


def test_the_column_that_is_off_is_named():
    x = normal(1500)
    fits = uniformity(Gaussian(3), rows_of(x), NAMES)
    assert fits["p_value"] > 0.01
    off = uniformity(Gaussian(3), rows_of(x * torch.tensor([1, 1.5, 1])), NAMES)
    assert off["of"] == "columns"
    assert (off["feature"], off["features"][0]["feature"]) == ("height", "height")
    assert off["p_value"] < 1e-6
    assert [one["p_value"] > 0.01 for one in off["features"]] == [False, True, True]


def test_the_p_value_is_that_of_the_farthest_of_all():
    """Of densities that fit, one in twenty has a p-value below 0.05, however many columns."""
    torch.manual_seed(0)
    below = sum(
        uniformity(Gaussian(20), rows_of(torch.randn(60, 20)))["p_value"] < 0.05
        for _ in range(100)
    )
    assert below <= 12


def test_worst_rows_are_those_of_the_split():
    x = normal(4000)
    x[:2] = torch.nan
    x[3999, 2] = -9
    worst = uniformity(Gaussian(3), rows_of(x), NAMES)["least_likely"][0]
    assert (worst["row"], worst["feature"]) == (3999, "weight")
    assert worst["uniform"] < 1e-12 > worst["p_value"]


def test_a_weight_of_two_is_a_row_twice():
    uniforms = torch.rand(50, 2, generator=torch.Generator().manual_seed(0)).double()
    weight = torch.ones(50).double()
    weight[:10] = 2
    twice = torch.cat([uniforms[:10], uniforms])
    assert distances(uniforms, weight) == pytest.approx(distances(twice), abs=1e-12)


CONTEXTS = {
    "classes": (torch.eye(3), "class 1"),
    "few numbers": (torch.tensor([[0.5], [2.0], [7.0]]), "2"),
}


@pytest.mark.parametrize("name", CONTEXTS)
def test_the_context_that_is_off_is_named(name):
    values, told = CONTEXTS[name]
    kind = torch.arange(1500) % 3
    x = normal(1500)
    x[kind == 1] += 0.5
    flow = MADE(3, context_features=values.shape[1], hidden_units=[4], zero_output=True)
    found = uniformity(flow, rows_of(x, values[kind]), NAMES)["contexts"]
    assert [one["rows"] for one in found] == [500, 500, 500]
    assert found[0]["context"] == told
    assert [one["p_value"] < 0.01 for one in found] == [True, False, False]


def test_contexts_of_many_numbers_are_quarters():
    context = torch.rand(1200, 2, generator=torch.Generator().manual_seed(0))
    x = normal(1200) * (0.5 + (context[:, 1:] > 0.75))
    flow = MADE(3, context_features=2, hidden_units=[4], zero_output=True)
    found = uniformity(flow, rows_of(x, context))["contexts"]
    assert len(found) == 8
    assert {one["context"][:8] for one in found[:2]} == {"number 2"}


def test_ties_of_levels_are_broken_by_chance():
    """All rows of a lattice with two levels are as likely as they should be."""
    flow = Histogram(2, lattice={"levels": 2})
    x = 0.5 + (torch.arange(2000).unsqueeze(-1) // torch.tensor([1, 2]) % 2)
    found = calibration(flow, rows_of(x))
    assert found["uniformity"]["p_value"] > 0.01
    for one in found["coverage"]:
        assert abs(one["share"] - one["level"]) < 2 * one["two_standard_errors"]


def test_it_is_told_in_a_sentence():
    kind = torch.arange(300) % 2
    flow = Gaussian(3, context_features=2)
    lines = calibration_lines(calibration(flow, rows_of(normal(300), torch.eye(2)[kind]), NAMES))
    assert "95% regions hold" in lines[0]
    assert "every column" in lines[1]
    assert "% off (" in lines[1]
    assert "every context" in lines[2]
    assert "class" in lines[2]


def test_densities_without_distribution_functions_have_none():
    class Other(StandardNormal):
        def uniforms(self, u, context=None):
            raise NotImplementedError

    found = calibration(Flow(Other(2), Chain()), rows_of(normal(30, 2)))
    assert found["uniformity"] is None
    assert len(calibration_lines(found)) == 1


def test_contexts_are_told_by_their_names_in_data_units():
    torch.manual_seed(0)
    flow = MADE(2, context_features=3, hidden_units=[8])
    age, city = torch.randn(1000, 1), torch.eye(2)[torch.randint(0, 2, (1000,))]
    rows = rows_of(torch.randn(1000, 2), torch.cat([age, city], 1))
    scaled = Standardize([40.0, 0.0, 0.0], [10.0, 1.0, 1.0])
    names = ["age", "city=Bern", "city=Zug"]
    told = uniformity(flow, rows, context_names=names, context_preprocess=scaled)["contexts"]
    ages = [one["context"] for one in told if one["context"].startswith("age from ")]
    assert len(ages) == 4
    assert all(0 < float(word.split()[2]) < 60 for word in ages)
