"""The user's table: labels, groups, missing values, logarithm, clipping and lattices."""

import numpy as np
import pandas as pd
import pytest
from tables import all_rows, numbers, open_table, write

from flowbench.data import DataError, Table


@pytest.fixture(params=[".csv", ".parquet", ".npy", ".npz", ".h5", ".hdf5"])
def path(request, tmp_path):
    return write(tmp_path / f"table{request.param}", numbers())


def people(path, *, rows=200):
    """Whole years, positive and heavy-tailed money, a town, a person with several rows."""
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(
        {
            "age": rng.integers(20, 80, rows),
            "height": rng.normal(size=rows),
            "money": np.exp(3 * rng.normal(size=rows)),
            "town": rng.choice(["Ulm", "Aix", "Bari"], rows),
            "person": [f"p{person}" for person in rng.integers(0, 40, rows)],
        }
    )
    frame.to_csv(path, index=False) if path.suffix == ".csv" else frame.to_parquet(path)
    return frame


@pytest.fixture(params=[".csv", ".parquet"])
def town(request, tmp_path):
    path = tmp_path / f"people{request.param}"
    return path, people(path)


def index_of(data, frame, split):
    """The rows of a split in the table, found by a column that is different in each row."""
    names = data.raw.feature_names
    heights = np.asarray(data.raw.x[split])[:, names.index("height")]
    return [int(np.abs(frame["height"] - height).argmin()) for height in heights]


def test_labels_become_zeros_and_a_one_behind_the_numbers(town):
    path, frame = town
    options = {
        "columns": ["height"],
        "context_columns": ["money"],
        "categorical_columns": ["town"],
    }
    data = open_table(path, **options)
    for split, rows in data.rows.items():
        index = index_of(data, frame, split)
        one_hot = frame["town"][index].to_numpy()[:, None] == ["Aix", "Bari", "Ulm"]
        np.testing.assert_array_equal(rows.context[:, 1:].numpy(), one_hot)
        assert len(rows.context) == len(index)
    money = frame["money"][index_of(data, frame, "train")]
    expected = (money - money.mean()) / money.std(ddof=0)
    np.testing.assert_allclose(data.rows["train"].context[:, 0], expected, atol=1e-5)
    assert data.context_features == 4


def test_labels_that_are_numbers_come_in_their_order(tmp_path):
    x = np.random.default_rng(0).normal(size=(60, 2))
    x[:, 1] = np.arange(60) % 3 * 5  # 0, 5, 10
    np.save(tmp_path / "t.npy", x)
    data = open_table(tmp_path / "t.npy", categorical_columns=[1])
    place = np.asarray(data.raw.context["train"]).argmax(1)
    values = {
        value: x[np.abs(x[:, 0] - value).argmin(), 1]
        for [value] in np.asarray(data.raw.x["train"])
    }
    assert place.tolist() == [value // 5 for value in values.values()]


def test_label_that_no_training_row_has_is_refused(tmp_path):
    frame = people(tmp_path / "t.csv")
    frame["part"] = ["train"] * 150 + ["val"] * 25 + ["test"] * 25
    frame.loc[190, "town"] = "Oslo"
    frame.to_csv(tmp_path / "t.csv", index=False)
    told = r"column 'town' holds 'Oslo' in the split 'test'.*: give rare ones a name in common"
    with pytest.raises(DataError, match=told):
        open_table(
            tmp_path / "t.csv",
            columns=["height"],
            categorical_columns=["town"],
            split_column="part",
        )


def test_no_group_is_in_two_splits(town):
    path, frame = town
    options = {"columns": ["height"], "group_column": "person"}
    data = open_table(path, **options)
    groups = [set(frame["person"][index_of(data, frame, split)]) for split in data.rows]
    assert set.union(*groups) == set(frame["person"])
    assert sum(map(len, groups)) == frame["person"].nunique()
    sizes = [len(rows) for rows in data.rows.values()]
    assert sum(sizes) == 200
    assert np.abs(np.array(sizes) - [160, 20, 20]).max() <= 10
    other = open_table(path, **options, seed=1)
    assert not np.array_equal(all_rows(other), all_rows(data))


def test_three_groups_are_one_for_each_split(tmp_path):
    x = np.random.default_rng(0).normal(size=(30, 2))
    x[:, 1] = np.arange(30) // 10
    np.save(tmp_path / "t.npy", x)
    data = open_table(tmp_path / "t.npy", group_column=1)
    assert [len(rows) for rows in data.rows.values()] == [10, 10, 10]
    x[:, 1] %= 2
    np.save(tmp_path / "t.npy", x)
    with pytest.raises(DataError, match="group_column=1: there are 2 groups, expected at least 3"):
        open_table(tmp_path / "t.npy", group_column=1)


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".npy", ".h5"])
def test_rows_with_missing_values_are_dropped_when_asked(tmp_path, suffix):
    x = numbers()
    x[3, 0] = x[7, 2] = x[50, 1] = np.nan
    path = write(tmp_path / f"t{suffix}", x)
    with pytest.raises(DataError, match=r"row 4, column '[a0]' is nan; row 51.*; row 8"):
        open_table(path)
    with pytest.warns(UserWarning, match="left out: 3 rows with missing values"):
        data = open_table(path, missing="drop")
    complete = x[np.isfinite(x).all(1)]
    np.testing.assert_allclose(np.sort(all_rows(data), 0), np.sort(complete, 0), rtol=1e-12)
    x[5, 0] = np.inf
    with pytest.raises(DataError, match=r"row 6, column '[a0]' is inf"):
        open_table(write(path, x), missing="drop")


def test_missing_label_is_a_missing_value(town):
    path, frame = town
    frame.loc[11, "town"] = None
    frame.to_csv(path, index=False) if path.suffix == ".csv" else frame.to_parquet(path)
    options = {"columns": ["height"], "categorical_columns": ["town"]}
    with pytest.raises(DataError, match="row 12, column 'town' is empty"):
        open_table(path, **options)
    with pytest.warns(UserWarning, match="1 row with missing"):
        data = open_table(path, **options, missing="drop")
    assert data.context_features == 3


def test_logarithm_is_a_transform_with_its_log_det(town):
    path, frame = town
    data = open_table(path, columns=["height", "money"], log_columns=["money"])
    index = index_of(data, frame, "test")
    train = np.log(frame["money"][index_of(data, frame, "train")])
    u = (np.log(frame["money"][index]) - train.mean()) / train.std(ddof=0)
    np.testing.assert_allclose(data.rows["test"].x[:, 1], u, atol=1e-5)
    height = frame["height"][index_of(data, frame, "train")].std(ddof=0)
    log_det = -np.log(frame["money"][index]) - np.log(train.std(ddof=0)) - np.log(height)
    np.testing.assert_allclose(data.rows["test"].log_det, log_det, rtol=1e-5)
    back, _ = data.preprocess(data.rows["test"].x.double())
    np.testing.assert_allclose(back[:, 1], frame["money"][index], rtol=1e-4)


def test_logarithm_of_zero_is_refused(tmp_path):
    x = np.abs(numbers()) + 1
    x[30, 1] = 0
    path = write(tmp_path / "t.csv", x)
    with pytest.raises(
        DataError, match=r"row 31, column 'b' is 0\.0, but data\.log_columns needs"
    ):
        open_table(path, log_columns=["b"])
    with pytest.raises(DataError, match="what is modelled has no column 'd'"):
        open_table(path, log_columns=["d"])


def test_values_beyond_quantiles_of_the_training_rows_are_moved_to_them(path):
    plain = open_table(path)
    data = open_table(path, clip_quantiles=[0.05, 0.95])
    low, high = np.quantile(np.asarray(plain.raw.x["train"]), [0.05, 0.95], axis=0)
    for split in data.rows:
        raw = np.asarray(plain.raw.x[split])
        clipped, log_det = data.preprocess(data.rows[split].x.double())
        np.testing.assert_allclose(clipped, np.clip(raw, low, high), atol=1e-5)
        np.testing.assert_allclose(data.rows[split].log_det, -log_det, rtol=1e-6)
        np.testing.assert_allclose(np.asarray(data.raw.x[split]), raw, rtol=1e-12)
    np.testing.assert_allclose(data.rows["train"].x.std(0, correction=0), 1, rtol=1e-5)


@pytest.mark.parametrize("pair", [[0.1], [0.9, 0.1], [-0.1, 0.5], [0.5, 1.5]])
def test_odd_quantiles_are_refused(tmp_path, pair):
    with pytest.raises(DataError, match="expected two rising numbers between 0 and 1"):
        Table(path=tmp_path / "never_read.npy", clip_quantiles=pair)


def test_too_many_labels_are_refused(tmp_path):
    x = np.stack([np.arange(2000.0), np.random.default_rng(0).normal(size=2000)], axis=1)
    np.save(tmp_path / "t.npy", x)
    with pytest.raises(DataError, match="column '0' has more than 1000 different values"):
        open_table(tmp_path / "t.npy", categorical_columns=[0])


def test_groups_beside_given_splits_are_refused(tmp_path):
    np.savez(tmp_path / "t.npz", train=numbers(), val=numbers(), test=numbers())
    with pytest.raises(DataError, match=r"group_column: .* holds the splits as arrays already"):
        open_table(tmp_path / "t.npz", group_column=0)
