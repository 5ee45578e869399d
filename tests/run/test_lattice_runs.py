"""Runs of models of levels: trained, scored like flows on the same rows, drawn from."""

import math

import numpy as np
import pandas as pd
import pytest
from run_commands import script, train

import flowbench

QUICK = ["logger=csv", "figures=false"]
TINY = ["model.units=8", "model.inner_units=8", "model.blocks=1"]
PICTURES = ["experiment=digits_pixelcnn", "trainer.max_epochs=1", *QUICK, *TINY]


@pytest.fixture(scope="module")
def table(folder):
    """Counts, halves, and dozens, of which the second depends on the first."""
    rng = np.random.default_rng(0)
    counts = rng.poisson(3, 2000)
    halves = counts / 2 + rng.integers(0, 3, 2000) / 2
    rows = pd.DataFrame({"n": counts, "half": halves, "dozen": 12 * rng.integers(5, 9, 2000)})
    rows.to_csv(folder / "rows.csv", index=False)
    return ["data=table", f"data.path={folder / 'rows.csv'}", "data.dequantize=true", *QUICK]


@pytest.mark.parametrize("label_context", [False, True])
def test_pictures_from_training_to_samples(folder, label_context, capsys):
    path, result = train(folder, *PICTURES, f"data.label_context={str(label_context).lower()}")
    test = result["test"]
    assert 1.9 < test["bits_per_dim"] < 2.45  # the histogram has 2.36
    assert ("accuracy" in test) == label_context
    assert result["knows_lattice"]
    terms = np.load(path / "test_scores.npy")
    told = test["marginal" if label_context else "log_likelihood"]["data_space"]["mean"]
    assert terms.mean() == pytest.approx(told)
    script("sample")([str(path), "-n", "3", "--out", str(folder / "samples.npy")])
    samples = np.load(folder / "samples.npy")
    assert samples.shape == (3, 64)
    assert samples.min() >= 0
    assert samples.max() < 17
    script("evaluate")([str(path)])
    assert f"{test['log_likelihood']['model_space']['mean']:.4f} ± " in capsys.readouterr().out


@pytest.mark.parametrize("options", [["data.layout=planar", "data.pixel_order=reversed"],
                                     ["data.pixel_order=random"]])  # fmt: skip
def test_the_order_of_pixels_in_a_row_does_not_matter_to_pictures(folder, options):
    _, plain = train(folder, *PICTURES)
    _, other = train(folder, *PICTURES, *options)
    means = [run["test"]["log_likelihood"]["model_space"]["mean"] for run in (plain, other)]
    assert means[0] == pytest.approx(means[1], abs=0.01)


def test_binary_pictures_are_told_in_bits(folder):
    options = ["data.binarize=threshold", "data.dequantize=once"]
    path, result = train(folder, *PICTURES, *options)
    mean = result["test"]["log_likelihood"]["data_space"]["mean"]
    assert result["test"]["bits_per_dim"] == pytest.approx(-mean / (64 * math.log(2)))
    assert 0 < result["test"]["bits_per_dim"] < 0.7
    assert set(flowbench.load(path).sample(20).unique().tolist()) == {0.0, 1.0}


@pytest.mark.parametrize("model", ["histogram", "made_lattice", "made_lattice_mixture"])
def test_a_table_of_lattices(folder, table, model):
    path, result = train(folder, *table, f"model={model}", "trainer.max_epochs=2")
    density = flowbench.load(path)
    drawn = density.sample(500)
    assert ((drawn[:, 2] / 12 - 5).floor() >= -3).all()
    rows = np.array([[3.0, 1.5, 60.0], [3.0, 2.5, 96.0]])
    at_points = density.log_prob(rows)
    within = density.log_prob(rows + np.array([0.9, 0.4, 11.0]))
    np.testing.assert_allclose(at_points, within, atol=1e-3)  # constant in each cell
    far = density.log_prob(np.array([[40.0, 1.5, 60.0]]))  # further than any row
    assert np.isfinite(far)
    assert far < at_points[0] - 3
    mean = result["test"]["log_likelihood"]["data_space"]["mean"]
    entropies = -math.log(0.5 * 12) - math.log(4) - 1.93  # of the columns alone
    assert mean == pytest.approx(entropies - 1.5, abs=0.7)


def test_a_table_with_other_columns_is_refused_to_a_model_of_levels(folder, table):
    rows = pd.read_csv(folder / "rows.csv")
    rows["real"] = np.random.default_rng(1).normal(size=len(rows))
    rows.to_csv(folder / "mixed.csv", index=False)
    options = [*table[:1], f"data.path={folder / 'mixed.csv'}", *table[2:]]
    with pytest.raises(ValueError, match=r"needs data on a lattice: .*data\.dequantize=true"):
        train(folder, *options, "model=made_lattice")
