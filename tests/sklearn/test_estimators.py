"""Flows as estimators: the rules of scikit-learn, and what its users do with estimators."""

import pickle
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from flowbench.sklearn import ConditionalFlowDensity, FlowDensity, FlowOutlierDetector

SMALL = {"layers": 1, "hidden_units": [8], "max_epochs": 2, "random_state": 0}
SINGULAR = "it fits 15 rows of 30 columns, which have a singular covariance"
EXACT = "it fits targets that are a linear function of X, where a density has no bound"
BATCHES = "rows are held out and steps take minibatches, which repeated rows change"
NEEDS_Y = "the score of a conditional density needs the targets: score_samples(X, y)"


def expected_failures(estimator):
    equivalence = "check_sample_weight_equivalence_on_dense_data"
    if not isinstance(estimator, ConditionalFlowDensity):
        return {equivalence: SINGULAR} if estimator.model == "gaussian" else {}
    return {
        equivalence: BATCHES,
        "check_sample_weights_shape": EXACT,
        "check_sample_weights_not_overwritten": EXACT,
        "check_methods_sample_order_invariance": NEEDS_Y,
        "check_methods_subset_invariance": NEEDS_Y,
    }


@parametrize_with_checks(
    [
        FlowDensity("gaussian"),
        FlowDensity(max_epochs=1, random_state=0),
        FlowOutlierDetector("gaussian"),
        ConditionalFlowDensity(max_epochs=1, random_state=0),
    ],
    expected_failed_checks=expected_failures,
)
def test_the_rules_of_scikit_learn(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def rows():
    return np.random.default_rng(0).normal(size=(300, 3)) * [1, 10, 0.1] + [0, 100, 5]


@pytest.fixture(scope="module")
def fitted(rows):
    return FlowDensity(**SMALL).fit(pd.DataFrame(rows, columns=["a", "b", "c"]))


def test_settings_are_parameters(rows):
    estimator = FlowDensity(layers=3, learning_rate=1e-4)
    assert clone(estimator).get_params()["layers"] == 3
    assert estimator.set_params(hidden_units=[8]).get_params()["hidden_units"] == [8]
    assert repr(estimator) == "FlowDensity(hidden_units=[8], layers=3, learning_rate=0.0001)"


def test_settings_reach_the_flow(fitted):
    assert len(fitted.density_.flow.transform.transforms) <= 2
    assert fitted.density_.feature_names == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ({"model": "mav"}, "model='mav' is unknown; did you mean maf?"),
        ({"layrs": 1}, "layrs is not a setting of model='maf'; did you mean layers?"),
        ({"layers": 0}, "layers=0: expected an integer at least 1"),
        ({"learning_rate": -1}, "learning_rate=-1"),
        ({"minutes": 0}, "minutes=0"),
        ({"model": "auto", "minutes": 0}, "minutes=0: expected a number above 0 or None"),
        ({"model": "auto", "minutes": "a"}, "minutes='a': expected a number above 0 or None"),
        ({"model": "auto", "layers": 1}, "layers is not a setting of model='auto', which chooses"),
    ],
)
def test_a_mistake_is_one_sentence(rows, parameters, told):
    with pytest.raises(ValueError, match="^" + told.replace("?", r"\?")):
        FlowDensity(**parameters).fit(rows)


def test_frames_of_pandas_and_polars_are_the_same(rows, fitted):
    polars = pytest.importorskip("polars")
    given = polars.DataFrame(rows, schema=["a", "b", "c"])
    again = FlowDensity(**SMALL).fit(given)
    np.testing.assert_array_equal(again.score_samples(given), fitted.score_samples(given))


def test_a_pickle_is_the_same_density(rows, fitted):
    again = pickle.loads(pickle.dumps(fitted))
    frame = pd.DataFrame(rows, columns=["a", "b", "c"])
    np.testing.assert_array_equal(again.score_samples(frame), fitted.score_samples(frame))
    samples = [one.sample(5, random_state=3) for one in (again, fitted)]
    np.testing.assert_array_equal(*samples)


def test_density_in_the_units_of_the_rows(rows):
    scores = FlowDensity("gaussian").fit(rows).score_samples(rows)
    covariance = np.cov(rows.T)
    centred = rows - rows.mean(0)
    quadratic = (centred @ np.linalg.inv(covariance) * centred).sum(1)
    exact = -0.5 * (quadratic + np.linalg.slogdet(2 * np.pi * covariance)[1])
    assert np.abs(scores - exact).mean() < 0.1  # fitted to nine tenths of the rows


def test_grid_search_over_models_and_pipelines_with_frames(rows):
    grid = {"model": ["gaussian", "maf"], "random_state": [0]}
    search = GridSearchCV(FlowDensity(max_epochs=1), grid, cv=2).fit(rows)
    means = search.cv_results_["mean_test_score"]
    assert np.isfinite(means).all()
    assert search.best_score_ == means.max()
    scaler = StandardScaler().set_output(transform="pandas")
    pipeline = make_pipeline(scaler, FlowDensity("gaussian"))
    pipeline.fit(pd.DataFrame(rows, columns=["a", "b", "c"]))
    assert list(pipeline[-1].feature_names_in_) == ["a", "b", "c"]


def test_conditional_densities():
    generator = np.random.default_rng(0)
    X = generator.normal(size=(600, 1))
    y = np.stack([3 * X[:, 0], -X[:, 0]], 1) + [0.5, 0.1] * generator.normal(size=(600, 2))
    estimator = ConditionalFlowDensity(
        layers=2, hidden_units=[16], max_epochs=60, learning_rate=1e-2, random_state=0
    ).fit(X, y)
    at = np.array([[1.0], [-1.0]])
    np.testing.assert_allclose(estimator.predict(at), [[3, -1], [-3, 1]], atol=0.4)
    low, high = estimator.quantiles(at, [0.1, 0.9])
    assert low.shape == (2, 2)
    np.testing.assert_allclose((high - low)[:, 0], 2 * 1.2816 * 0.5, rtol=0.4)
    assert estimator.sample(at, 7).shape == (7, 2, 2)
    assert estimator.score(X, y) == pytest.approx(estimator.score_samples(X, y).mean())


def test_threshold_of_outliers(rows):
    detector = FlowOutlierDetector("gaussian", contamination=0.05).fit(rows)
    assert (detector.predict(rows) == -1).sum() == 15
    with pytest.raises(ValueError, match=r"contamination=0\.6"):
        FlowOutlierDetector(contamination=0.6).fit(rows)


def test_training_ends_in_time(rows):
    many = np.tile(rows, (20, 1)) + np.random.default_rng(0).normal(size=(6000, 3))
    estimator = FlowDensity(minutes=0.02, max_epochs=100_000, patience=None, random_state=0)
    assert len(estimator.fit(many).density_.history) < 100_000


def test_neither_hydra_nor_wandb_is_imported():
    code = (
        "import flowbench.sklearn, sys; sys.exit(not {'hydra', 'wandb'}.isdisjoint(sys.modules))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("estimator", [FlowDensity, FlowOutlierDetector])
@pytest.mark.parametrize("model", ["gaussian", "gaussian_mixture"])
def test_a_weight_is_how_often_a_row_comes(rows, estimator, model):
    """As scikit-learn's check, on more rows than columns; at any scale of the weights."""
    counts = np.random.default_rng(1).integers(0, 4, len(rows))
    order = np.random.default_rng(2).permutation(counts.sum())
    repeated = np.repeat(rows, counts, axis=0)[order]
    options = {"random_state": 0} if model == "gaussian" else {"random_state": 0, "components": 3}
    expected = estimator(model, **options).fit(repeated)
    for weight in (counts, list(0.37 * counts)):
        found = estimator(model, **options).fit(rows, sample_weight=weight)
        scores = found.score_samples(rows)
        np.testing.assert_allclose(scores, expected.score_samples(rows), rtol=1e-4, atol=1e-4)
        if estimator is FlowDensity:
            assert found.score(rows, sample_weight=weight) == pytest.approx(
                expected.score(repeated), rel=1e-4
            )
        else:
            assert (found.predict(rows) == expected.predict(rows)).all()


def test_missing_cells_are_integrated_out_or_refused(rows):
    holes = rows.copy()
    holes[::3, 1] = np.nan
    scores = FlowDensity("gaussian_mixture", components=2).fit(holes).score_samples(holes)
    assert np.isfinite(scores).all()
    with pytest.raises(ValueError, match="contains NaN"):
        FlowDensity("maf").fit(holes)


def test_models_of_classes_and_of_binary_values():
    rng = np.random.default_rng(0)
    classes = np.eye(2)[rng.integers(0, 2, 200)]
    y = classes[:, 0] * 5 + rng.normal(size=200)
    estimator = ConditionalFlowDensity("gaussian", random_state=0).fit(classes, y)
    assert estimator.score(classes, y) > -1.6
    binary = rng.integers(0, 2, (200, 3)).astype(float)
    density = FlowDensity("made_bernoulli", max_epochs=2, random_state=0).fit(binary)
    assert -3 < density.score(binary) < 0
