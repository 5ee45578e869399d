"""A trained density as it is shown: its summary, its samples beside rows, its learning curve."""

from io import BytesIO

import numpy as np
import pandas as pd
import pytest
import run_commands
import torch
from matplotlib.image import imread

import flowbench
from flowbench.drawing import learning_curve

X = np.random.default_rng(0).normal(size=(60, 2))
C = np.random.default_rng(1).normal(size=(60, 1))
FRAME = pd.DataFrame(X, columns=["rent", "<b>area</b>"])
SMALL = {"layers": 1, "hidden_units": [4]}


@pytest.fixture(scope="module")
def plain():
    return flowbench.fit(flowbench.MAF(2, **SMALL), FRAME, max_epochs=2)


@pytest.fixture(scope="module")
def conditional():
    return flowbench.fit(flowbench.MAF(2, context_features=1, **SMALL), X, C, max_epochs=1)


@pytest.fixture(scope="module")
def closed():
    rows = np.random.default_rng(0).normal(size=(60, 12))
    return flowbench.fit(flowbench.Gaussian(12), rows)


def points(figure):
    """The numbers of points of rows and of samples, and the names of the features."""
    [axis] = figure.axes
    shown = [len(line.get_xdata()) for line in axis.lines[:2]]
    return *shown, [label.get_text() for label in axis.get_xticklabels()]


def test_a_summary_says_what_a_density_is_of(plain, conditional, closed):
    assert list(plain.summary()) == ["flow", "features", "context", "preprocessing", "training"]
    text = str(plain.summary())
    assert text.startswith("density of MAF\n")
    assert "  features       2: rent, <b>area</b>\n" in text
    epoch, score = learning_curve.best_epoch(plain.history)
    assert f"2 epochs; best: epoch {epoch}, with {score:.4f} nats" in text
    assert conditional.summary()["context"] == "1 number"
    assert closed.summary()["features"].endswith("x[:, 7], …")
    assert "training" not in closed.summary()


def test_a_notebook_shows_a_table_whose_names_are_text(plain):
    page = plain._repr_html_()
    assert page.startswith("<table>")
    assert "&lt;b&gt;area&lt;/b&gt;" in page
    assert "<b>" not in page


@pytest.mark.parametrize(
    ("rows", "n", "expected"),
    [(None, 50, (0, 50)), (FRAME, 2000, (60, 60)), (X.tolist(), 40, (40, 40))],
)
def test_samples_are_drawn_beside_as_many_rows(plain, rows, n, expected):
    *shown, names = points(plain.plot(rows, n=n))
    assert names == ["rent", "<b>area</b>"]
    for found, most in zip(shown, expected, strict=True):
        assert 0.6 * most <= found <= most  # what is outside of the limits is left out


def test_samples_of_a_conditional_density_share_the_contexts_of_the_rows(conditional, monkeypatch):
    seen = []
    sample = conditional.sample
    monkeypatch.setattr(conditional, "sample", lambda n, c: seen.append((n, c)) or sample(n, c))
    for x, context, n in ((X, C, 30), (X, [0.5], 30), (None, C, 90), (None, [[0.5]], 90)):
        conditional.plot(x, context, n=n)
    (_, each), (count, one), (_, repeated), (_, single) = seen
    assert torch.equal(each, torch.from_numpy(C[np.linspace(0, 59, 30).astype(int)]))
    assert (count, tuple(one.shape)) == ((30,), (1,))
    assert (repeated.shape, single.shape) == ((90, 1), (90, 1))


def test_what_is_missing_is_left_out():
    rows = np.where(np.arange(120).reshape(60, 2) == 7, np.nan, X)
    density = flowbench.fit(flowbench.Gaussian(2), rows)
    assert points(density.plot(rows))[0] <= 59


@pytest.mark.parametrize("features", [1, 12])
def test_any_number_of_features(features):
    rows = np.random.default_rng(0).normal(size=(60, features))
    density = flowbench.fit(flowbench.Gaussian(features), rows)
    assert len(points(density.plot(rows))[2]) == min(features, 8)


@pytest.mark.parametrize(
    ("x", "context", "message"),
    [
        (X, None, "a context was not given"),
        (X, C[:5], r"x has 60 rows and the context has \(5,\), expected one context for each row"),
        (X[0], [0.5], r"x has shape \(2,\), expected \[rows, features\]"),
        (X[:, :1], C, r"x has shape \(60, 1\), expected \[..., 2\]"),
    ],
)
def test_rows_that_cannot_be_shown(conditional, x, context, message):
    with pytest.raises(ValueError, match=message):
        conditional.plot(x, context)


@pytest.mark.parametrize(("x", "n"), [(None, 0), (X, -1), (X[:0], 5)])
def test_nothing_to_show(plain, x, n):
    with pytest.raises(ValueError, match=f"n={n}.*: expected at least 1"):
        plain.plot(x, n=n)


def test_rows_that_want_a_gradient(plain):
    assert points(plain.plot(torch.tensor(X, requires_grad=True)))[0] > 0


def test_a_notebook_shows_the_figures(plain):
    for figure in (plain.curve(), plain.plot(FRAME)):
        assert imread(BytesIO(figure._repr_png_())).std() > 0.01


def test_without_epochs_there_is_no_curve(closed):
    with pytest.raises(ValueError, match="there is no learning curve: the flow was fitted in clo"):
        closed.curve()


def test_a_loaded_run_has_its_learning_curve(tmp_path):
    folder, _ = run_commands.train(
        tmp_path, "data=toy", "model.layers=1", "trainer.max_epochs=2", "logger=none",
        "figures=false",
    )  # fmt: skip
    density = flowbench.load(folder)
    assert [row["epoch"] for row in density.history] == [0, 1]
    [axis] = density.curve().axes
    assert [len(line.get_xdata()) for line in axis.lines] == [2, 2]
    assert "2 epochs" in density.summary()["training"]
    density.save(tmp_path / "alone.ckpt")
    assert flowbench.load(tmp_path / "alone.ckpt").history == density.history
    for damaged, problem in (
        ("epoch,val/log_likelihood\n0,well\n", "row '0', column val/log_likelihood holds 'well'"),
        ("epoch,loss\n0,1\n", "the column val/log_likelihood is missing"),
        ("epoch,val/log_likelihood\n0\n", "holds None"),
        ("epoch,val/log_likelihood\n0,1,2\n", "column None holds"),
    ):
        (folder / "metrics.csv").write_text(damaged)
        with pytest.warns(UserWarning, match=f"no learning curve is known: .*{problem}"):
            assert flowbench.load(folder).history == []


@pytest.mark.parametrize("score", ["much", None, [1], float("nan"), -float("inf")])
def test_scores_that_are_no_numbers_are_not_shown(plain, tmp_path, score):
    plain.save(tmp_path / "density.ckpt")
    stored = torch.load(tmp_path / "density.ckpt", weights_only=True)["flowbench"]["history"]
    assert stored == plain.history
    rows = [row | {"val/log_likelihood": score} for row in plain.history]
    learning_curve.learning_curve(rows)
    assert (learning_curve.best_epoch(rows) is None) == (score != -float("inf"))
