"""`model=auto`: a race between models, and the mixture of the best."""

import json
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from run_commands import composed, train

import flowbench
from flowbench.config.configuration import remarks
from flowbench.config.errors import ConfigError
from flowbench.data import DataError, Table
from flowbench.data.arrays import Arrays, Pair, held_out
from flowbench.from_config import build_flow
from flowbench.run.auto import race as race_module
from flowbench.run.auto.folds import folds_of
from flowbench.run.auto.members import Members
from flowbench.run.auto.portfolio import portfolio
from flowbench.run.auto.weights import mixture_weights
from flowbench.sklearn import FlowDensity
from flowbench.training.interrupted import Interrupted

QUICK = ["model=auto", "logger=csv", "figures=false", "data=table", "auto.minutes=10"]


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


@pytest.fixture
def few(monkeypatch):
    """Let only some models race, which soon have no patience left, so that no clock decides."""

    def few(*names):
        def chosen(*sizes, **kinds):
            entries = portfolio(*sizes, **kinds)
            return [
                replace(one, training={**one.training, "learning_rate": 0.05, "patience": 1})
                for one in entries
                if one.name in names
                or (not one.baseline and one.name.removesuffix("_johnson") in names)
            ]

        monkeypatch.setattr("flowbench.run.auto.auto.portfolio", chosen)

    return few


def test_the_winner_is_an_ordinary_run_not_below_any_baseline(table, tmp_path, few):
    few("gaussian", "gaussian_mixture_2", "maf")
    _, result = train(tmp_path, *QUICK, f"data.path={table}")
    race = result["race"]
    assert sum(race["chosen"].values()) == pytest.approx(1)
    assert {one["status"] for one in race["entries"]} <= {"done", "running", "behind", "out"}
    assert race["folds"] == 5
    best = max(one["val"] for one in race["entries"] if one["folds"] == 5)
    assert race["score"]["mean"] >= best - 1e-6
    val = result["val"]["log_likelihood"]["model_space"]
    assert val == race["score"]
    assert val["n"] == result["rows"]["train"] + result["rows"]["val"]
    assert {one["name"] for one in race["baselines"]} >= {"gaussian", "gaussian_mixture_2"}
    assert any(one["epochs"] > 0 for one in race["entries"])
    [folder] = tmp_path.glob("outputs/table/auto/*/seed=0")
    density = flowbench.load(folder)
    assert density.sample(3).shape == (3, 2)


def test_an_interrupted_race_goes_on_with_the_time_that_is_left(table, tmp_path, few):
    few("gaussian", "maf", "maf_spline")
    advance = race_module.Race._advance

    def stopped(self, name, *how):
        if name.startswith("maf_spline"):
            raise Interrupted(15, code=75)
        advance(self, name, *how)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(race_module.Race, "_advance", stopped)
        with pytest.raises(Interrupted):
            train(tmp_path, *QUICK, f"data.path={table}")
    [file] = tmp_path.glob("outputs/table/auto/*/seed=0/race.json")
    before = json.loads(file.read_text())
    [maf] = [name for name in before["entries"] if name in ("maf", "maf_johnson")]
    assert before["entries"][maf]["epochs"][0] > 0
    _, result = train(tmp_path, *QUICK, f"data.path={table}")
    after = {one["name"]: one for one in result["race"]["entries"]}
    assert after[maf]["epochs"] >= before["entries"][maf]["epochs"][0]
    assert json.loads(file.read_text())["seconds"] >= before["seconds"]


def test_a_closed_form_that_was_fitted_is_not_fitted_again(table, tmp_path, few, monkeypatch):
    few("gaussian", "gaussian_mixture_2", "maf")
    words = [*QUICK, f"data.path={table}"]
    fitted, advance = [], race_module.Race._advance

    def stopped(self, name, *how):
        fitted.append(name)
        if not self.entries[name].baseline:
            raise Interrupted(15, code=75)
        advance(self, name, *how)

    monkeypatch.setattr(race_module.Race, "_advance", stopped)
    for _ in range(2):
        with pytest.raises(Interrupted):
            train(tmp_path, *words)
    assert fitted.count("gaussian") == 5  # once on each fold
    assert fitted[-1] == fitted[-2]


def test_a_race_ends_when_nothing_gets_better(rows, monkeypatch):
    known = {one.name: one for one in portfolio(100, 2)}
    quick = replace(known["maf"], training={"patience": 1, "learning_rate": 0.1})
    entries = [known["gaussian"], quick]
    monkeypatch.setattr("flowbench.run.auto.auto.portfolio", lambda *_, **__: entries)
    density = FlowDensity("auto", minutes=600, random_state=0).fit(rows[:60])
    assert density.sample(2).shape == (2, 2)


def arrays(rows, share=0.1):
    data = Arrays(
        held_out(Pair.of(rows, None), share, seed=0), standardized=True, batch_size=64, seed=0
    )
    data.setup()
    return data


def test_every_row_but_the_sealed_ones_chooses_once(rows):
    data = arrays(rows[:101])
    data.rows["test"] = data.rows["test"].changed(x=data.rows["test"].x + 1000)
    folds = folds_of(data)
    chosen = torch.cat([fold.data.rows["val"].x for fold in folds])
    known = torch.cat([data.rows[split].x for split in ("train", "val")])
    assert sorted(chosen.tolist()) == sorted(known.tolist())
    for fold in folds:
        train = fold.training(johnson=False, closed=False).rows
        parts = [train["train"].x, train["val"].x, fold.data.rows["val"].x]
        assert sorted(torch.cat(parts).tolist()) == sorted(known.tolist())


def test_equal_rows_choose_and_train_together(rows):
    data = arrays(np.repeat(rows[:200], 5, axis=0))
    for fold in folds_of(data):
        train = fold.training(johnson=False, closed=False).rows
        parts = [train["train"].x, train["val"].x, fold.data.rows["val"].x]
        known = [set(map(tuple, part.tolist())) for part in parts]
        assert len(known[0] & known[2]) + len(known[1] & known[2]) <= 4  # at the ends of the part
        assert len(known[0] & known[1]) <= 1


def test_test_rows_that_train_too_are_told(rows, tmp_path, few, capsys):
    few("gaussian")
    pd.DataFrame(np.repeat(rows[:40], 5, axis=0), columns=["a", "b"]).to_csv(
        tmp_path / "rows.csv", index=False
    )
    train(tmp_path, *QUICK, f"data.path={tmp_path / 'rows.csv'}")
    assert "test rows equal rows of training or validation" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("count", "by_chance", "folds"), [(1000, True, 5), (1000, False, 1), (6000, True, 1)]
)
def test_few_rows_that_were_split_by_chance_are_folded(count, by_chance, folds):
    data = arrays(np.random.default_rng(0).normal(size=(count, 2)))
    data.split_by_chance = by_chance
    assert len(folds_of(data)) == folds


@pytest.mark.parametrize("option", ["group_column", "split_column"])
def test_groups_and_splits_of_a_table_are_kept(option, tmp_path):
    frame = pd.DataFrame({"x": np.random.default_rng(0).normal(size=90)})
    frame["g"] = np.repeat(["train", "val", "test"], 30)
    frame.to_csv(tmp_path / "rows.csv", index=False)
    data = Table(path=tmp_path / "rows.csv", cache_dir=tmp_path, **{option: "g"})
    data.setup()
    assert len(folds_of(data)) == 1


def test_columns_on_a_normal_scale_are_told_and_win(tmp_path, monkeypatch):
    known = portfolio(300, 2, skewed=True)
    monkeypatch.setattr("flowbench.run.auto.auto.portfolio", lambda *_, **__: known[:2])
    rows = np.exp(2 * np.random.default_rng(0).normal(size=(300, 2)))
    np.savetxt(tmp_path / "rows.csv", rows, delimiter=",", header="a,b", comments="")
    _, result = train(tmp_path, *QUICK, f"data.path={tmp_path / 'rows.csv'}")
    assert result["race"]["johnson"] == ["a", "b"]
    assert result["race"]["chosen"] == {"gaussian_johnson": 1.0}
    [folder] = tmp_path.glob("outputs/table/auto/*/seed=0")
    terms = flowbench.load(folder).log_prob(rows)
    exact = -0.5 * (np.log(rows) / 2) ** 2 - np.log(2 * rows) - 0.5 * np.log(2 * np.pi)
    assert abs(terms - exact.sum(1)).mean() < 0.3


@pytest.mark.parametrize("key", ["devices", "num_nodes"])
def test_several_devices_are_refused_before_data_are_read(tmp_path, key):
    with pytest.raises(ConfigError, match=f"trainer.{key}=2: model=auto trains on one device"):
        train(tmp_path, *QUICK, "data.path=nowhere.csv", "trainer=ddp", f"trainer.{key}=2")


def test_real_nvp_of_the_race_is_finite_on_rows_far_from_zero():
    entries = {entry.name: entry for entry in portfolio(1000, 64)}
    torch.manual_seed(0)
    flow = build_flow(entries["realnvp"].model, features=64, context_features=0)
    assert flow(13 * torch.randn(256, 64)).mean() > -1e5  # logits of pixels are that large


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
    assert "kernel" not in {entry.name for entry in portfolio(100, 10, weighted=True)}
    given = [{entry.name for entry in entries if entry.baseline} for entries in (few, many)]
    assert [("linear_gaussian" in names) for names in given] == [False, True]


def test_columns_of_levels_and_single_values_race_with_densities_for_them(tmp_path, few, capsys):
    few("gaussian", "maf", "made_mixed")
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
    told = capsys.readouterr().out
    assert told.count("no density for the single values") == 1
    assert "out, as gaussian" in told
    assert found["gaussian"]["status"] == "out"


def test_where_no_model_has_a_density_it_is_said(table, tmp_path, monkeypatch):
    gaussian = [one for one in portfolio(100, 2) if one.name == "gaussian"]
    monkeypatch.setattr("flowbench.run.auto.auto.portfolio", lambda *_, **__: gaussian)
    path = tmp_path / "amounts.csv"
    path.write_text("a,b\n" + "".join(f"{i % 2 * i / 7},{i / 3 % 1}\n" for i in range(300)))
    with pytest.raises(DataError, match="no model has a density of these data: model=gaussian"):
        train(tmp_path, *QUICK, f"data.path={path}", "data.discrete_columns=auto")


def test_a_race_without_time_ends_with_an_epoch_of_a_flow(table, tmp_path, few):
    few("maf", "made_mog")
    _, result = train(tmp_path, *QUICK, "auto.minutes=0.0001", f"data.path={table}")
    assert max(one["epochs"] for one in result["race"]["entries"]) >= 1
    assert sum(result["race"]["chosen"].values()) == pytest.approx(1)


def test_flows_without_an_epoch_are_not_told_to_be_out(table, tmp_path, few, monkeypatch, capsys):
    few("maf", "made_mog")
    train_on = Members.train

    def slow(members, name, seconds, fold):
        if math.isfinite(seconds):
            raise TimeoutError
        return train_on(members, name, seconds, fold)

    monkeypatch.setattr(Members, "train", slow)
    train(tmp_path, *QUICK, f"data.path={table}")
    told = capsys.readouterr().out
    assert told.count("no epoch has ended") >= 2
    assert "out, as" not in told


def test_auto_as_an_estimator(rows, few):
    few("gaussian", "gaussian_mixture_2", "gaussian_mixture_4")
    estimator = FlowDensity("auto", minutes=1, random_state=0).fit(rows)
    assert estimator.score(rows) > FlowDensity("gaussian").fit(rows).score(rows)
    assert estimator.sample(2).shape == (2, 2)


def test_minutes_of_another_model_are_told():
    plain = {"model": {"name": "maf"}, "data": {}, "training": {}, "auto": {"minutes": 5.0}}
    assert remarks(plain) == ["auto.minutes=5.0 has no effect without model=auto"]
    assert remarks(plain | {"model": {"name": "auto"}}) == []


def test_a_race_starts_from_no_other_run():
    with pytest.raises(ConfigError, match="init_from=there: model=auto trains models of its own"):
        composed("model=auto", "data=toy", "init_from=there")
