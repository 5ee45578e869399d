"""The two choices in a score: how probable labels are, and of which noise it is."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from run_commands import script, train
from torch.distributions import MultivariateNormal

from flowbench.config.settings import Evaluation
from flowbench.data import DataError, DataModule, Digits, ImageFolder, RawData, SoundFolder, Table
from flowbench.evaluation import evaluate, log_likelihoods
from flowbench.evaluation.noise import RowNoise
from flowbench.evaluation.prior import class_prior, refuse_idle
from flowbench.evaluation.text import describe
from flowbench.flows import Gaussian

SHARES = (0.7, 0.2, 0.1)


class Unbalanced(DataModule):
    """Three overlapping Gaussians with their labels, seven, two and one in ten."""

    label_context = True
    labels = ("a", "b", "c")

    def read(self):
        rng = np.random.default_rng(0)
        codes = {s: rng.permutation(np.repeat([0, 1, 2], [700, 200, 100])) for s in SPLITS}
        return RawData(
            x={s: rng.normal(size=(len(c), 2)) + 1.5 * c[:, None] for s, c in codes.items()},
            context={s: np.eye(3, dtype=np.float32)[c] for s, c in codes.items()},
        )


SPLITS = ("train", "val", "test")
PRIORS = {
    "uniform": ("uniform", (1 / 3, 1 / 3, 1 / 3)),
    "empirical": ("empirical", SHARES),
    "given": ([0.5, 0.5, 0], (0.5, 0.5, 0)),
    "whole numbers": ([0, 0, 1], (0, 0, 1)),
    "none": (None, (1 / 3, 1 / 3, 1 / 3)),
}


@pytest.fixture(scope="module")
def unbalanced():
    data = Unbalanced(batch_size=100)
    data.setup()
    flow = Gaussian(2, context_features=3)
    flow.initialize(data.rows["train"].x, data.rows["train"].context)
    return flow, data


@pytest.fixture(scope="module")
def densities(unbalanced):
    """The same densities by torch.distributions: `[rows, labels]` of the test rows."""
    _, data = unbalanced
    train, test = data.rows["train"], data.rows["test"].x.double()
    columns = []
    for label in range(3):
        x = train.x[train.context[:, label] == 1].double()
        columns.append(MultivariateNormal(x.mean(0), x.T.cov(correction=0)).log_prob(test).numpy())
    return np.stack(columns, axis=-1)


@pytest.mark.parametrize("name", PRIORS)
def test_the_marginal_and_the_classes_follow_the_prior(unbalanced, densities, name):
    asked, shares = PRIORS[name]
    flow, data = unbalanced
    block = evaluate(flow, data, "test", options=Evaluation(class_prior=asked))
    with np.errstate(divide="ignore"):
        joint = densities + np.log(shares)
    direct = np.log(np.exp(joint).sum(-1)).mean()
    assert block["marginal"]["model_space"]["mean"] == pytest.approx(direct, abs=2e-3)
    true = data.rows["test"].context.argmax(-1).numpy()
    assert block["accuracy"] == pytest.approx((joint.argmax(-1) == true).mean(), abs=0.005)
    found = block["class_prior"]["shares"]
    assert found == pytest.approx(dict(zip("abc", shares, strict=True)))
    assert json.loads(json.dumps(block)) == block
    [told] = [line for line in describe(block, "test") if "without labels" in line]
    assert f"(p(label) {block['class_prior']['kind']}" in told


def test_the_shares_of_unbalanced_labels_describe_them_better(unbalanced):
    flow, data = unbalanced
    mean = {
        asked: evaluate(flow, data, "test", options=Evaluation(class_prior=asked))["marginal"]
        for asked in ("uniform", "empirical")
    }
    gain = mean["empirical"]["data_space"]["mean"] - mean["uniform"]["data_space"]["mean"]
    assert gain == pytest.approx(0.2, abs=0.1)


def test_own_folders_have_the_shares_of_their_training_rows(unbalanced):
    _, data = unbalanced
    assert [cls.class_prior for cls in (ImageFolder, SoundFolder)] == ["empirical"] * 2
    data.class_prior = "empirical"
    try:
        assert class_prior(data).shares == pytest.approx(dict(zip("abc", SHARES, strict=True)))
        assert class_prior(data, "uniform").kind == "uniform"
    finally:
        del data.class_prior


BAD = [
    ({"class_prior": [0.5, 0.5]}, r"=\[0\.5, 0\.5\]: expected 3 probabilities .* labels a, b, c"),
    ({"class_prior": [0.5, 0.5, 0.5]}, "expected 3 probabilities that sum to 1"),
    ({"class_prior": []}, "expected 3 probabilities"),
    ({"draws": 2}, r"evaluation\.draws=2: the scored rows hold no dequantisation noise"),
]


@pytest.mark.parametrize(("options", "message"), BAD)
def test_what_does_not_fit_the_data_is_refused_before_training(unbalanced, options, message):
    with pytest.raises(DataError, match=message):
        refuse_idle(unbalanced[1], Evaluation(**options))


def test_a_prior_without_labels_is_refused(tmp_path):
    options = ["data=toy", "model=gaussian", "logger=csv", "figures=false"]
    with pytest.raises(DataError, match=r"class_prior=uniform: this density is not given labels"):
        train(tmp_path, *options, "evaluation.class_prior=uniform")
    with pytest.raises(DataError, match=r"evaluation\.draws=3: .* no dequantisation noise"):
        train(tmp_path, *options, "evaluation.draws=3")


@pytest.fixture(scope="module")
def rolled(tmp_path_factory):
    """A run on two dice and a number, with noise on the dice; its table."""
    folder = tmp_path_factory.mktemp("dice")
    rng = np.random.default_rng(0)
    values = {"a": rng.integers(1, 7, 600), "b": rng.normal(size=600)}
    rows = pd.DataFrame(values | {"c": rng.integers(1, 7, 600) / 4})
    rows.to_csv(folder / "rows.csv", index=False)
    options = ["model=gaussian", "logger=csv", "data=table", f"data.path={folder / 'rows.csv'}"]
    options += ["data.dequantize=true", "evaluation.draws=4"]
    run, result = train(folder, *options)
    return folder, run, result, rows


def digits(folder):
    data = Digits(cache_dir=folder)
    data.setup()
    return data


def dice(folder):
    data = Table(path=folder / "rows.csv", dequantize=True, cache_dir=folder / "cache")
    data.setup()
    return data


@pytest.mark.parametrize("make", [digits, dice])
def test_another_draw_is_other_noise_in_the_same_cells(rolled, make):
    data = make(rolled[0])
    step = torch.tensor([1.0] * 64 if make is digits else [1, 1e-9, 0.25]).double()
    before = data.preprocess(data.rows["test"].x.double())[0]
    first, again, second = (data.redrawn("test", draw) for draw in (1, 1, 2))
    assert torch.equal(first.x, again.x)
    assert not torch.equal(first.x, second.x)
    noisy = step > 1e-6
    for rows in (first, second):
        x = data.preprocess(rows.x.double())[0]
        change = (x - before)[:, noisy] / step[noisy]
        assert change.abs().max() < 1.01
        assert change.abs().mean() == pytest.approx(1 / 3, abs=0.05)
        torch.testing.assert_close(x[:, ~noisy], before[:, ~noisy], atol=1e-5, rtol=0)
        assert data.redrawn("val", 1).x.shape == data.rows["val"].x.shape


def test_a_score_is_the_mean_over_the_draws(rolled):
    data = dice(rolled[0])
    flow = Gaussian(3)
    flow.initialize(data.rows["train"].x, None)
    draws = [data.rows["test"], *(data.redrawn("test", draw) for draw in (1, 2))]
    direct = torch.stack([log_likelihoods(flow, rows) for rows in draws]).mean(0)
    block = evaluate(flow, data, "test", options=Evaluation(draws=3))
    assert block["log_likelihood"]["model_space"]["mean"] == pytest.approx(direct.mean().item())
    assert block["noise_draws"] == 3
    assert any("mean over 3 draws of the noise" in line for line in describe(block, "test"))
    one = evaluate(flow, data, "test")
    terms = log_likelihoods(flow, data.rows["test"])
    assert one["log_likelihood"]["model_space"]["mean"] == pytest.approx(terms.mean().item())
    assert any("of one draw of the noise" in line for line in describe(one, "test"))


def test_a_run_scored_again_is_scored_in_its_own_way_unless_told(rolled, tmp_path, capsys):
    _, run, result, _ = rolled
    assert result["test"]["noise_draws"] == 4

    def again(*options):
        script("evaluate")([str(run), "--json", str(tmp_path / "s.json"), *options])
        [found] = json.loads((tmp_path / "s.json").read_text()).values()
        return found

    assert again()["log_likelihood"] == result["test"]["log_likelihood"]
    assert "mean over 4 draws of the noise" in capsys.readouterr().out
    one = again("--draws", "1")
    assert one["noise_draws"] == 1
    assert one["log_likelihood"] != result["test"]["log_likelihood"]
    script("evaluate")([str(run), str(run), "--paired"])
    assert "row by row: 0.0000 ± 0.0000 nats" in capsys.readouterr().out
    for options, message in (
        (["--class-prior", "uniform"], "not given labels"),
        (["--class-prior", "even"], None),
        (["--draws", "0"], None),
    ):
        with pytest.raises(SystemExit) as stop:
            again(*options)
        assert message is None or message in str(stop.value)


def scores(run, path, *options):
    out = path.with_suffix(".scores.csv")
    script("score")([str(run), "--data", str(path), "--out", str(out), *options])
    return pd.read_csv(out)["log_density"].to_numpy()


def test_a_row_has_the_same_score_wherever_it_stands(rolled, tmp_path, capsys):
    _, run, _, rows = rolled
    order = np.random.default_rng(1).permutation(len(rows))
    rows.to_csv(tmp_path / "a.csv", index=False)
    rows.iloc[order][["c", "b", "a"]].to_csv(tmp_path / "b.csv", index=False)
    rows.iloc[7:9].to_csv(tmp_path / "few.csv", index=False)
    for options in ([], ["--draws", "3"]):
        found = scores(run, tmp_path / "a.csv", *options)
        np.testing.assert_allclose(scores(run, tmp_path / "b.csv", *options), found[order])
        np.testing.assert_allclose(scores(run, tmp_path / "few.csv", *options), found[7:9])
    told = capsys.readouterr().out
    assert "of one draw of the noise; --draws 10 averages over ten" in told
    assert "mean over 3 draws of the noise" in told


def test_more_draws_come_nearer_to_the_mean(rolled, tmp_path):
    _, run, _, rows = rolled
    rows.to_csv(tmp_path / "a.csv", index=False)
    one, ten, many = (scores(run, tmp_path / "a.csv", "--draws", n) for n in ("1", "10", "200"))
    assert np.abs(ten - many).mean() < 0.5 * np.abs(one - many).mean()
    assert one.mean() == pytest.approx(many.mean(), abs=0.03)


def test_noise_of_rows_is_uniform_and_independent():
    rows = np.random.default_rng(0).integers(0, 3, (20_000, 4)).astype(float)
    rows[:, 0] = np.arange(20_000)
    noise = np.hstack([RowNoise(rows, draw=draw).random((20_000, 3)) for draw in (0, 1)])
    assert noise.min() >= 0
    assert noise.max() < 1
    deciles = np.stack([np.histogram(column, 10, (0, 1))[0] for column in noise.T])
    assert np.abs(deciles - 2000).max() < 200
    assert np.abs(np.corrcoef(noise.T) - np.eye(6)).max() < 0.03
