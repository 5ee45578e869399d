"""A run on a table of mixed columns, from the file to scores and samples of its own values."""

import json

import numpy as np
import pandas as pd
import pytest
from run_commands import script, train

import flowbench
from flowbench.data import DataError

QUICK = ["logger=csv", "figures=false", "trainer.max_epochs=2", "model.hidden_units=[16]"]
AUTO = "data.discrete_columns=auto"


@pytest.fixture(scope="module")
def table(folder):
    """Months; rain, mostly none; an income, capped; a price with zeros; a real number."""
    rng = np.random.default_rng(0)
    n = 3000
    month = rng.integers(1, 13, n)
    rain = np.where(rng.random(n) < 0.1 + month / 20, 0, rng.gamma(2, 3, n))
    income = np.minimum(rng.lognormal(3, 1, n), 50)
    price = np.where(rng.random(n) < 0.3, 0, rng.uniform(1, 40, n).round(2))
    real = rng.normal(size=n) + month
    columns = {"month": month, "rain": rain, "income": income, "price": price, "real": real}
    pd.DataFrame(columns).to_csv(folder / "rows.csv", index=False)
    return ["data=table", f"data.path={folder / 'rows.csv'}", *QUICK]


@pytest.fixture(scope="module")
def run(folder, table):
    return train(folder, *table, AUTO, "model=made_mixed", "model.residual=false")


def test_the_result_says_of_which_measure_its_scores_are(run):
    _, result = run
    assert result["measure"] == "mixed"
    assert result["measure_of_columns"] == {
        "lattice": ["month", "price"],
        "atoms": {"rain": [0.0], "income": [50.0]},
    }


def test_each_column_is_told_in_one_table_before_training(folder, table, capsys):
    train(folder, *table, AUTO, "model=made_mixed", "model.residual=false", "seed=1")
    lines = capsys.readouterr().out.splitlines()
    start = lines.index(next(line for line in lines if line.startswith("column ")))
    assert [line.split(maxsplit=1) for line in lines[start : start + 6]] == [
        ["column", "measure"],
        ["month", "lattice, in steps of 1"],
        ["rain", "atom 0, else real numbers"],
        ["income", "atom 50, else real numbers"],
        ["price", "lattice, in steps of 0.01"],
        ["real", "real numbers"],
    ]


def test_samples_have_the_values_of_the_table(run, folder):
    path, _ = run
    drawn = flowbench.load(path).sample(2000)
    month, rain, income, price, _ = drawn.double().T.numpy()
    assert set(month) <= set(range(-1, 15))
    assert np.isin(range(1, 13), month).all()
    assert 0.2 < (rain == 0).mean() < 0.8
    assert 0.1 < (income == 50).mean() < 0.3
    assert 0.15 < (price == 0).mean() < 0.45
    np.testing.assert_array_equal(price, price.round(2))
    script("sample")([str(path), "-n", "100", "--out", str(folder / "samples.csv")])
    written = pd.read_csv(folder / "samples.csv")
    assert written["month"].dtype == np.int64
    assert (written["rain"] == 0).any()


def test_scores_of_a_file_are_those_of_the_density(run, folder):
    path, result = run
    out = folder / "scores.csv"
    script("score")([str(path), "--data", str(folder / "rows.csv"), "--out", str(out)])
    scores = pd.read_csv(out)["log_density"]
    rows = pd.read_csv(folder / "rows.csv")
    density = flowbench.load(path)
    np.testing.assert_allclose(scores, density.log_prob(rows), atol=1e-5)
    mean = result["test"]["log_likelihood"]["data_space"]["mean"]
    assert scores.mean() == pytest.approx(mean, abs=0.4)
    at = rows.iloc[:1].assign(rain=0.0)
    near = rows.iloc[:1].assign(rain=1e-3)
    assert np.exp(density.log_prob(at) - density.log_prob(near)).item() > 0.3


def test_a_model_without_probabilities_of_atoms_does_not_start(folder, table):
    with pytest.raises(
        DataError, match=r"model=maf has no density .* 'rain', 'income': .*model=made_mixed"
    ):
        train(folder, *table, AUTO, "model=maf")


@pytest.mark.parametrize(
    ("columns", "measure"),
    [("[month]", ["month"]), ("[month,price]", ["month", "price"])],
)
def test_flows_see_lattices_with_noise_in_the_same_nats(folder, table, columns, measure):
    options = [*table, f"data.discrete_columns={columns}", "data.columns=[month,price,real]"]
    _, flow = train(folder, *options, "model=made")
    _, mixed = train(folder, *options, "model=made_mixed", "model.residual=false")
    assert flow["measure"] == mixed["measure"] == "mixed"
    assert flow["measure_of_columns"]["lattice"] == measure
    means = [one["test"]["log_likelihood"]["data_space"]["mean"] for one in (flow, mixed)]
    assert means[1] > means[0]


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        ("[real]", r"data.discrete_columns names 'real', whose values lie on no lattice"),
        ("[mnoth]", r"data.discrete_columns: 'mnoth' is not .*did you mean month"),
    ],
)
def test_columns_that_are_not_discrete_are_refused(folder, table, columns, told):
    with pytest.raises(DataError, match=told):
        train(folder, *table, "model=made_mixed", f"data.discrete_columns={columns}")


def test_a_table_of_real_numbers_and_one_of_levels_alone(folder, table):
    plain = [*table, "model=made_mixed", "model.residual=false"]
    _, real = train(folder, *plain, "data.columns=[real]")
    assert (real["measure"], "measure_of_columns" in real) == ("lebesgue", False)
    path, levels = train(folder, *plain, "data.columns=[month]", AUTO)
    assert levels["measure"] == "lattice"
    assert json.loads((path / "result.json").read_text())["measure"] == "lattice"
