"""What is said of a split, against direct computation."""

import math

import numpy as np
import pytest
import torch
from torch.distributions import MultivariateNormal

from flowbench.data import DataModule, RawData
from flowbench.evaluation import (
    conditional,
    evaluate,
    log_likelihoods,
    paired_difference,
    summarize,
)
from flowbench.evaluation.anomaly import anomaly_table, separation
from flowbench.evaluation.conditional import by_label, without_labels
from flowbench.evaluation.likelihood import LikelihoodError, least_likely
from flowbench.evaluation.prior import class_prior
from flowbench.evaluation.published import comparable
from flowbench.evaluation.score import Score
from flowbench.evaluation.text import describe
from flowbench.flows import MAF, Gaussian

SIZES = {"train": 900, "val": 300, "test": 500}


class Labelled(DataModule):
    """Three overlapping Gaussians in other units, with their labels as context."""

    label_context = True
    labels = ("a", "b", "c")

    def read(self):
        rng = np.random.default_rng(0)
        codes = {split: rng.integers(3, size=n) for split, n in SIZES.items()}
        x = {s: rng.normal(size=(len(c), 2)) + 1.5 * c[:, None] for s, c in codes.items()}
        return RawData(
            x={split: 10 * rows for split, rows in x.items()},
            preprocess=[{"name": "Affine", "scale": 10.0, "features": 2}],
            feature_names=["x", "y"],
            sha256="",
            context={s: np.eye(3, dtype=np.float32)[c] for s, c in codes.items()},
            dequantized=True,
        )


@pytest.fixture(scope="module")
def data():
    data = Labelled(batch_size=100)
    data.setup()
    return data


@pytest.fixture(scope="module")
def gaussians(data):
    flow = Gaussian(2, context_features=3)
    flow.initialize(data.rows["train"].x, data.rows["train"].context)
    return flow


@pytest.fixture(scope="module")
def densities(data):
    """The same densities by torch.distributions: `[rows, labels]` of the test rows."""
    train, test = data.rows["train"], data.rows["test"]
    columns = []
    for label in range(3):
        x = train.x[train.context[:, label] == 1].double()
        own = MultivariateNormal(x.mean(0), x.T.cov(correction=0))
        columns.append(own.log_prob(test.x.double()).numpy())
    return np.stack(columns, axis=-1)


def test_given_labels_the_marginal_and_the_accuracy_are_those_of_bayes_rule(
    data, gaussians, densities
):
    found = by_label(gaussians, data, data.rows["test"]).numpy()
    np.testing.assert_allclose(found, densities, rtol=1e-3, atol=1e-2)
    true = data.rows["test"].context.argmax(-1).numpy()
    score = evaluate(gaussians, data, "test")
    given = score["log_likelihood"]["model_space"]["mean"]
    assert given == pytest.approx(densities[np.arange(500), true].mean(), abs=2e-3)
    direct = np.log(np.exp(densities).sum(-1) / 3)
    assert score["marginal"]["model_space"]["mean"] == pytest.approx(direct.mean(), abs=2e-3)
    error = 2 * direct.std(ddof=1) / math.sqrt(500)
    assert score["marginal"]["model_space"]["two_standard_errors"] == pytest.approx(
        error, rel=0.01
    )
    assert score["accuracy"] == pytest.approx((densities.argmax(-1) == true).mean(), abs=0.005)
    assert comparable(score) == score["marginal"]["model_space"]["mean"]


def test_bits_are_those_of_the_density_without_labels_and_labels_tell_how_far_they_are(
    data, gaussians, monkeypatch, capsys
):
    monkeypatch.setattr(conditional, "PACE", -1.0)
    block = evaluate(gaussians, data, "test")
    nats = block["marginal"]["data_space"]["mean"]
    assert block["bits_per_dim"] == pytest.approx(-nats / data.features / math.log(2))
    rows = f"scored {len(data.rows['test']):,} rows under"
    assert [line.partition(" (")[0] for line in capsys.readouterr().out.splitlines()] == [
        f"{rows} {done} of 3 labels" for done in (1, 2)
    ]


def test_a_row_that_is_impossible_given_a_label_has_a_density_without_labels(data, gaussians):
    flow = Gaussian(2, context_features=3)
    flow.load_state_dict(gaussians.state_dict())
    flow.transform.classes[2].initialize(1e-25 * data.rows["train"].x)
    assert by_label(flow, data, data.rows["test"])[:, 2].isneginf().all()
    uniform = class_prior(data, "uniform")
    found = without_labels(flow, data, data.rows["test"], uniform)[0].mean().item()
    two = by_label(flow, data, data.rows["test"])[:, :2].logsumexp(-1).mean() - math.log(3)
    assert found == pytest.approx(two.item())
    with pytest.raises(LikelihoodError, match="not finite"):
        evaluate(flow, data, "test")


def test_data_units_and_bits_differ_by_the_log_determinant(data, gaussians):
    score = evaluate(gaussians, data, "test")
    shift = 2 * math.log(10)
    for block in (score["log_likelihood"], score["marginal"]):
        inner, outer = block["model_space"], block["data_space"]
        assert outer["mean"] == pytest.approx(inner["mean"] - shift)
        assert outer["two_standard_errors"] == pytest.approx(inner["two_standard_errors"])
    mean = score["marginal"]["data_space"]["mean"]
    assert score["bits_per_dim"] == pytest.approx(-mean / 2 / math.log(2))


def test_every_row_counts_once_and_the_least_likely_are_named(data, gaussians):
    terms = log_likelihoods(gaussians, data.rows["val"])
    assert terms.dtype == torch.float64
    score = evaluate(gaussians, data, "val")
    order = terms.argsort()
    assert [entry["row"] for entry in score["least_likely"]] == order[:5].tolist()
    summary = score["log_likelihood"]["model_space"]
    assert summary["n"] == 300
    assert summary["mean"] == pytest.approx(math.fsum(terms.tolist()) / 300, abs=1e-13)
    assert summary["min"] == score["least_likely"][0]["log_likelihood"]


def test_order_statistics():
    found = summarize(torch.arange(1.0, 1001.0))
    assert (found["median"], found["quantile_1_percent"], found["min"]) == (500.0, 10.0, 1.0)
    assert summarize(torch.tensor([3.0])) == {
        "mean": 3.0, "two_standard_errors": 0.0, "median": 3.0, "quantile_1_percent": 3.0,
        "min": 3.0, "trimmed_mean": 3.0, "share_of_ten": 0.0, "n": 1,
    }  # fmt: skip
    assert len(least_likely(torch.zeros(2))) == 2


@pytest.mark.parametrize(
    ("outliers", "few"), [([], False), ([-300.0], True), ([-60.0] * 10, True), ([90.0] * 3, True)]
)
def test_a_mean_that_ten_rows_decide_is_told(outliers, few):
    terms = torch.randn(2000, generator=torch.Generator().manual_seed(0)).double()
    plain = Score.of(terms)
    terms[: len(outliers)] = torch.tensor(outliers)
    score = Score.of(terms)
    assert score.decided_by_few is few
    assert score.trimmed_mean == pytest.approx(plain.trimmed_mean, abs=0.03)
    parts = (terms - terms.mean()).square().sort(descending=True).values
    assert score.share_of_ten == pytest.approx(float(parts[:10].sum() / parts.sum()))
    block = {"log_likelihood": {"model_space": score.json(), "data_space": score.json()},
             "least_likely": least_likely(terms)}  # fmt: skip
    told = [line for line in describe(block, "test") if "decided by few" in line]
    assert len(told) == few
    if few and outliers[0] < 0:
        assert f" ({outliers[0]})" in told[0].partition("lowest rows, from 0: ")[2]


@pytest.mark.parametrize("rows", [5, 40])
def test_few_rows_decide_a_mean_of_few_rows(rows):
    terms = torch.randn(rows, generator=torch.Generator().manual_seed(0)).double()
    score = Score.of(terms)
    parts = (terms - terms.mean()).square().sort(descending=True).values
    assert score.share_of_ten == pytest.approx(float(parts[:10].sum() / parts.sum()))
    assert score.decided_by_few == (rows > 10)  # all of ten rows decide, which says nothing
    block = {"log_likelihood": {"model_space": score.json(), "data_space": score.json()}}
    told = [line for line in describe(block, "test") if f"10 of {rows} rows make up" in line]
    assert len(told) == (rows > 10)
    assert not any("trimmed" in line for line in told)


def test_weights_count_in_a_trimmed_mean():
    terms, weight = torch.randn(500).double(), torch.rand(500).double() + 0.1
    ordered = terms.argsort()[5:-5]
    expected = np.average(terms[ordered], weights=weight[ordered])
    assert Score.of(terms, weight=weight).trimmed_mean == pytest.approx(expected)


def test_the_paired_difference_is_far_sharper_than_two_means(data, gaussians):
    terms = log_likelihoods(gaussians, data.rows["test"])
    noise = torch.randn(500, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    other = terms - 0.02 + 0.01 * noise
    found = paired_difference(terms, other)
    direct = (terms - other).numpy()
    assert found["mean"] == pytest.approx(direct.mean(), abs=1e-12)
    assert found["two_standard_errors"] == pytest.approx(2 * direct.std(ddof=1) / math.sqrt(500))
    assert found["mean"] > 5 * found["two_standard_errors"]
    assert found["mean"] < summarize(terms)["two_standard_errors"]
    assert found["better"] == (direct > 0).mean()
    with pytest.raises(ValueError, match="got 500 and 499"):
        paired_difference(terms, other[1:])


def test_separation_is_the_share_of_pairs_in_the_right_order():
    torch.manual_seed(0)
    own, others = torch.randn(40) * 3 - 900, torch.randn(60) * 3 - 902
    others[:5] = own[:5]
    pairs = own[:, None] - others
    auroc = ((pairs > 0).double() + 0.5 * (pairs == 0).double()).mean().item()
    assert separation(own, others)["auroc"] == pytest.approx(auroc, abs=1e-6)
    every = torch.cat([own, others])
    precision = [(own >= s).sum() / (every >= s).sum() for s in every.unique().flip(0)]
    recall = [(own >= s).double().mean() for s in every.unique().flip(0)]
    steps = np.diff([0.0, *map(float, recall)])
    expected = float(np.sum(steps * np.array(precision, dtype=float)))
    assert separation(own, others)["average_precision"] == pytest.approx(expected, abs=1e-6)


def test_the_anomaly_table_counts_what_is_more_likely_than_the_learnt():
    scores = {
        "zero": torch.tensor([0.0, 1.0, 2.0]),
        "loud": torch.tensor([5.0, 6.0]),
        "quiet": torch.tensor([-5.0, 1.5]),
    }
    table = anomaly_table(scores, learnt="zero")
    assert table["above"] == 1
    assert [table["labels"][label].get("auroc") for label in scores] == [
        None, 0.0, pytest.approx(4 / 6),
    ]  # fmt: skip
    assert table["mean_auroc"] == pytest.approx(1 / 3)
    assert table["worst_auroc"] == 0.0
    assert table["others"]["auroc"] == pytest.approx(4 / 12)


def test_a_flow_without_labels_has_neither_marginal_nor_accuracy():
    class Plain(Labelled):
        label_context = False

        def read(self):
            raw = super().read()
            raw.context = {}
            return raw

    data = Plain(batch_size=100)
    data.setup()
    score = evaluate(MAF(2, layers=1, hidden_units=[4]), data, "test")
    assert not {"marginal", "accuracy", "class_prior"} & set(score)
    assert comparable(score) == score["log_likelihood"]["model_space"]["mean"]
