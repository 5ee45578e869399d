"""Tables whose rows count differently, or miss cells that a model integrates out."""

import math
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from tables import open_table

import flowbench
from flowbench.data import DataError
from flowbench.data.arrays import Pair
from flowbench.flows import Gaussian, GaussianMixture

ROWS = 120
RNG = np.random.default_rng(0)
NUMBERS = np.exp(RNG.normal(size=(ROWS, 3)))
WEIGHTS = RNG.integers(0, 4, ROWS)
SPLITS = np.array(["train"] * 80 + ["val"] * 20 + ["test"] * 20)


def table(path, *, holes=(), **columns):
    frame = pd.DataFrame(NUMBERS, columns=["a", "b", "c"]).assign(**columns)
    for row, column in holes:
        frame.loc[row, column] = np.nan
    frame.to_csv(path, index=False)
    return path


def test_a_weight_is_no_feature_and_weighs_the_statistics(tmp_path):
    path = table(tmp_path / "t.csv", w=WEIGHTS, split=SPLITS)
    with pytest.warns(UserWarning, match=f"left out: {(WEIGHTS == 0).sum()} rows of weight 0"):
        data = open_table(path, weight_column="w", split_column="split", context_columns=["c"])
    assert data.raw.feature_names == ["a", "b"]
    for split in ("train", "val", "test"):
        own = WEIGHTS[(SPLITS == split) & (WEIGHTS > 0)]
        np.testing.assert_allclose(data.rows[split].weight, own / own.mean())
        assert len(data.rows[split]) == len(own)
    often = NUMBERS[:80].repeat(WEIGHTS[:80], 0)
    [step] = data.raw.preprocess
    np.testing.assert_allclose(step["mean"], often[:, :2].mean(0))
    np.testing.assert_allclose(step["std"], often[:, :2].std(0))
    [step] = data.raw.context_preprocess
    np.testing.assert_allclose(step["std"], often[:, 2:].std(0))


def test_values_are_clipped_to_quantiles_of_rows_as_often_as_they_count(tmp_path):
    holes = [(2, "a"), (5, "b")]
    path = table(tmp_path / "t.csv", w=WEIGHTS, split=SPLITS, holes=holes)
    with pytest.warns(UserWarning, match=r"left out: \d+ rows? of weight 0"):
        data = open_table(
            path,
            weight_column="w",
            split_column="split",
            clip_quantiles=[0.1, 0.85],
            missing="marginalize",
            standardize=False,
        )
    often = pd.read_csv(path)[["a", "b", "c"]].to_numpy()[:80].repeat(WEIGHTS[:80], 0)
    [step] = data.raw.preprocess
    expected = np.nanquantile(often, [0.1, 0.85], axis=0)
    np.testing.assert_allclose([step["low"], step["high"]], expected, rtol=1e-6)


WRONG = [
    ({"w": np.where(np.arange(ROWS) == 3, -1.5, 1)}, "row 4, column 'w' is -1.5, expected a weig"),
    ({"w": np.where(np.arange(ROWS) % 50 == 3, -2, 1)}, r"row 4, .* \(and 2 more such cells\)"),
    ({"w": np.where(np.arange(ROWS) == 7, np.inf, 1)}, "row 8, column 'w' is inf"),
    ({"w": np.where(np.arange(ROWS) == 7, np.nan, 1)}, "row 8, column 'w' is nan"),
    (
        {"w": np.where(np.arange(ROWS) == 7, np.nan, np.where(np.arange(ROWS) == 3, -1, 1))},
        r"row 8, column 'w' is nan; row 4, column 'w' is -1, expected a weight of at least 0$",
    ),
    ({"w": ["much"] * ROWS}, "row 1, column 'w' holds 'much', expected a finite number"),
    ({"w": np.zeros(ROWS)}, "no row is left"),
]


@pytest.mark.parametrize(("columns", "told"), WRONG)
def test_a_weight_that_is_none_is_refused_by_row_and_column(tmp_path, columns, told):
    with pytest.raises(DataError, match=told):
        open_table(table(tmp_path / "t.csv", **columns), weight_column="w")


def test_equal_weights_are_no_fault(tmp_path):
    data = open_table(table(tmp_path / "t.csv", w=7), weight_column="w")
    assert (data.rows["train"].weight == 1).all()


def test_missing_cells_are_kept_for_models_that_integrate_them_out(tmp_path):
    holes = [(0, "a"), (5, "b"), (5, "c"), (9, "a"), (9, "b"), (9, "c")]
    path = table(tmp_path / "t.csv", holes=holes, split=SPLITS)
    with pytest.raises(DataError, match=r"data\.missing=drop, or data\.missing=marginalize keeps"):
        open_table(path, split_column="split")
    options = {"missing": "marginalize", "split_column": "split", "log_columns": ["a", "b", "c"]}
    with pytest.warns(UserWarning, match="left out: 1 row with missing values"):
        data = open_table(path, **options)
    rows = data.rows["train"]
    present = NUMBERS[:80].copy()
    for row, column in holes:
        present[row, "abc".index(column)] = np.nan
    present = np.delete(present, 9, 0)
    logs = np.log(present)
    expected = (logs - np.nanmean(logs, 0)) / np.nanstd(logs, 0)
    np.testing.assert_allclose(rows.x, expected, rtol=1e-5, atol=1e-5)
    log_det = np.nansum(-logs - np.log(np.nanstd(logs, 0)), axis=1, where=~np.isnan(logs))
    np.testing.assert_allclose(rows.log_det, log_det, rtol=1e-6)
    assert len(rows.whole()) == 77


def test_a_mark_is_a_missing_cell_too_and_a_missing_context_leaves_its_row_out(tmp_path):
    path = table(tmp_path / "t.csv", holes=[(0, "a"), (2, "c")], split=SPLITS)
    text = path.read_text().splitlines()
    text[2] = "?" + text[2][text[2].index(",") :]
    path.write_text("\n".join(text) + "\n")
    options = {"context_columns": ["c"], "split_column": "split"}
    with pytest.warns(UserWarning, match="left out: 1 row with missing values"):
        data = open_table(path, missing=["marginalize", "?"], **options)
    assert data.rows["train"].x[:3, 0].isnan().tolist() == [True, True, False]
    assert not data.rows["train"].context.isnan().any()


def test_a_column_without_a_value_is_refused(tmp_path):
    path = table(tmp_path / "t.csv", holes=[(row, "b") for row in range(80)], split=SPLITS)
    with pytest.raises(DataError, match="'b'"):
        open_table(path, missing="marginalize", split_column="split")


X = torch.from_numpy(NUMBERS)
ARRAYS = [
    ([1.0, 2.0], r"weights has shape \(2,\), expected one for each of 120 rows"),
    (np.where(np.arange(ROWS) == 3, -1, 1), "weights: row 4 is -1, expected finite numbers of at"),
    (np.where(np.arange(ROWS) > 3, np.nan, 1), r"weights: row 5 is nan \(and 115 more\)"),
    (np.zeros(ROWS), "weights: all of them are 0"),
]


@pytest.mark.parametrize(("weights", "told"), ARRAYS)
def test_weights_in_memory_are_checked(weights, told):
    with pytest.raises(DataError, match=told):
        flowbench.fit(Gaussian(3), X, weights=weights)


@pytest.mark.parametrize("make", [Gaussian, partial(GaussianMixture, components=2)])
@pytest.mark.parametrize("holes", [False, True])
def test_a_fit_in_memory_is_that_of_repeated_rows(make, holes):
    x = X.clone()
    x[::5, 1] = torch.nan if holes else x[::5, 1]
    weighted = flowbench.fit(make(3).double(), x, weights=2.5 * WEIGHTS)
    often = flowbench.fit(make(3).double(), x.repeat_interleave(torch.from_numpy(WEIGHTS), 0))
    torch.testing.assert_close(weighted.log_prob(x), often.log_prob(x), rtol=1e-6, atol=1e-6)


def test_validation_in_memory_is_weighted():
    """The best epoch is that of the weighted rows: those of the second half have no say."""
    weights = np.where(np.arange(ROWS) < 60, 1.0, 1e-9)
    flow = flowbench.MAF(3, layers=1, hidden_units=[8], batch_norm=False)
    density = flowbench.fit(flow, X.float(), weights=weights, max_epochs=3, seed=1)
    held = np.random.default_rng(1).permutation(ROWS)[:12]
    log_det = -sum(math.log(one) for one in density.saved["preprocess"][0]["std"])
    scores = density.log_prob(X[held].float()).double().numpy() - log_det
    best = max(row["val/log_likelihood"] for row in density.history)
    assert best == pytest.approx(np.average(scores, weights=weights[held]), abs=1e-4)


def test_rows_of_weight_zero_are_absent():
    pair = Pair.of(X, None, WEIGHTS)
    assert len(pair.x) == (WEIGHTS > 0).sum()
    assert (pair.weight > 0).all()


def test_an_engine_that_knows_no_weights_says_so(capsys):
    flow = flowbench.MAF(3, layers=1, hidden_units=[8])
    flowbench.fit(flow, X.float(), weights=WEIGHTS, max_epochs=1, engine="native")
    told = "training.engine=plain: the native engine does not know weights of rows"
    assert told in capsys.readouterr().err
