"""`model=auto`: a race between models, and the mixture of the best."""

import json

import numpy as np
import pytest
import torch
from run_commands import train

import flowbench
from flowbench.config.configuration import remarks
from flowbench.data import DataError
from flowbench.run.auto import race as race_module
from flowbench.run.auto.portfolio import portfolio
from flowbench.run.auto.weights import mixture_weights
from flowbench.sklearn import FlowDensity
from flowbench.training.interrupted import Interrupted

QUICK = ["model=auto", "logger=csv", "figures=false", "data=table", "auto.minutes=0.15"]


@pytest.fixture(scope="module")
def rows():
    generator = np.random.default_rng(0)
    t = generator.uniform(0, 3, 1000)
    noise = 0.1 * generator.normal(size=(2, 1000))
    return np.stack([t * np.cos(2 * t), t * np.sin(2 * t)]).T + noise.T


@pytest.fixture(scope="module")
def table(rows, tmp_path_factory):
    path = tmp_path_factory.mktemp("table") / "rows.csv"
    np.savetxt(path, rows, delimiter=",", header="a,b", comments="")
    return path


def test_the_winner_is_an_ordinary_run_not_below_any_baseline(table, tmp_path):
    _, result = train(tmp_path, *QUICK, f"data.path={table}")
    race = result["race"]
    assert sum(race["chosen"].values()) == pytest.approx(1)
    assert {one["status"] for one in race["entries"]} <= {"done", "running", "behind", "out"}
    names = {one["name"]: one for one in race["entries"]}
    assert race["folds"] == 5
    best = max(one["val"] for one in race["entries"] if one["folds"] == 5)
    assert race["score"]["mean"] >= best - 1e-6
    assert {one["name"] for one in race["baselines"]} >= {"gaussian", "kernel"}
    assert names["maf"]["epochs"] > 0
    [folder] = tmp_path.glob("outputs/table/auto/*/seed=0")
    density = flowbench.load(folder)
    assert density.sample(3).shape == (3, 2)


def test_an_interrupted_race_goes_on_with_the_time_that_is_left(table, tmp_path, monkeypatch):
    advance = race_module.Race._advance

    def stopped(self, name, *how):
        if name.startswith("made_mog"):
            raise Interrupted(15, code=75)
        advance(self, name, *how)

    monkeypatch.setattr(race_module.Race, "_advance", stopped)
    with pytest.raises(Interrupted):
        train(tmp_path, *QUICK, f"data.path={table}")
    [file] = tmp_path.glob("outputs/table/auto/*/seed=0/race.json")
    before = json.loads(file.read_text())
    assert before["entries"]["maf"]["epochs"] > 0
    monkeypatch.undo()
    _, result = train(tmp_path, *QUICK, f"data.path={table}")
    after = {one["name"]: one for one in result["race"]["entries"]}
    assert after["maf"]["epochs"] >= before["entries"]["maf"]["epochs"]
    assert json.loads(file.read_text())["seconds"] >= before["seconds"]


def test_weights_of_a_mixture_maximise_its_likelihood():
    torch.manual_seed(0)
    terms = torch.randn(500, 3).double() + torch.tensor([0.5, 0.0, -9.0])
    weights = mixture_weights(terms)
    assert weights[2] == 0
    assert weights.sum() == pytest.approx(1)

    def score(first):
        return (terms[:, :2].exp() @ torch.tensor([first, 1 - first]).double()).log().mean()

    best = weights[0].item()
    assert score(best) >= max(score(best + 0.01), score(best - 0.01))


def test_entries_fit_the_rows():
    few, many = portfolio(100, 10), portfolio(10**6, 10, context_features=2)
    assert "gaussian_mixture_2" not in {entry.name for entry in few}
    assert "gaussian_mixture_64" in {entry.name for entry in many}
    assert "kernel" not in {entry.name for entry in many}
    assert "maf_noise" not in {entry.name for entry in many}


def test_columns_of_levels_and_single_values_race_with_densities_for_them(tmp_path):
    generator = np.random.default_rng(0)
    rain = np.where(generator.random(600) < 0.5, 0, generator.gamma(2, size=600))
    values = np.stack([rain, generator.poisson(5, 600), generator.normal(size=600)], 1)
    path = tmp_path / "rain.csv"
    weighted = np.concatenate([values, generator.uniform(0.5, 2, (600, 1))], 1)
    np.savetxt(path, weighted, delimiter=",", header="rain,count,x,w", comments="")
    words = [f"data.path={path}", "data.discrete_columns=auto", "data.weight_column=w"]
    _, result = train(tmp_path, *QUICK, *words)
    assert result["measure"] == "mixed"
    found = {one["name"]: one for one in result["race"]["entries"]}
    assert found["made_mixed"]["val"] is not None
    assert "no density for the single values" in found["maf"]["why"]
    assert found["gaussian"]["status"] == "out"


def test_where_no_model_has_a_density_it_is_said(table, tmp_path, monkeypatch):
    gaussian = [one for one in portfolio(100, 2) if one.name == "gaussian"]
    monkeypatch.setattr("flowbench.run.auto.auto.portfolio", lambda *_, **__: gaussian)
    path = tmp_path / "amounts.csv"
    path.write_text("a,b\n" + "".join(f"{i % 2 * i / 7},{i / 3 % 1}\n" for i in range(300)))
    with pytest.raises(DataError, match="no model has a density of these data: model=gaussian"):
        train(tmp_path, *QUICK, f"data.path={path}", "data.discrete_columns=auto")


def test_auto_as_an_estimator(rows):
    estimator = FlowDensity("auto", minutes=0.1, random_state=0).fit(rows)
    assert estimator.score(rows) > FlowDensity("gaussian").fit(rows).score(rows)
    assert estimator.sample(2).shape == (2, 2)


def test_minutes_of_another_model_are_told():
    plain = {"model": {"name": "maf"}, "data": {}, "training": {}, "auto": {"minutes": 5.0}}
    assert remarks(plain) == ["auto.minutes=5.0 has no effect without model=auto"]
    assert remarks(plain | {"model": {"name": "auto"}}) == []
