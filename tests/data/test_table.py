"""The user's own table: every format, every way to split it, every mistake in one sentence."""

import hashlib
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

from flowbench.data import DataError, Table
from flowbench.data.lattice import lattice_step

ROWS = 100


def numbers():
    return np.random.default_rng(0).normal(size=(ROWS, 3)) * [1, 10, 100] + [0, 5, 50]


def write(path, x):
    """The same numbers in the format that the extension names."""
    match path.suffix:
        case ".csv":
            pd.DataFrame(x, columns=["a", "b", "c"]).to_csv(path, index=False)
        case ".parquet":
            pd.DataFrame(x, columns=["a", "b", "c"]).to_parquet(path)
        case ".npy":
            np.save(path, x)
        case ".npz":
            np.savez(path, x=x)
        case _:
            with h5py.File(path, "w") as file:
                file["x"] = x
    return path


@pytest.fixture(params=[".csv", ".parquet", ".npy", ".npz", ".h5", ".hdf5"])
def path(request, tmp_path):
    return write(tmp_path / f"table{request.param}", numbers())


def open_table(path, **options):
    data = Table(path=path, cache_dir=path.parent / "cache", **options)
    data.setup()
    return data


def all_rows(data):
    return np.concatenate([data.raw.x[split] for split in ("train", "val", "test")])


def drawn(*, seed):
    """The rows of train, val and test: drawn at random, each split in the order of the file."""
    order = np.random.default_rng(seed).permutation(ROWS)
    return np.concatenate([np.sort(part) for part in np.split(order, [80, 90])])


def test_formats_give_the_same_splits(path):
    data = open_table(path)
    assert [len(data.rows[split].x) for split in ("train", "val", "test")] == [80, 10, 10]
    order = drawn(seed=0)
    np.testing.assert_allclose(all_rows(data), numbers()[order], rtol=1e-12)
    train, test = numbers()[order[:80]], numbers()[order[90:]]
    model = (test - train.mean(0)) / train.std(0)
    np.testing.assert_allclose(data.rows["test"].x.numpy(), model, atol=1e-5)
    np.testing.assert_allclose(data.rows["test"].log_det, -np.log(train.std(0)).sum())
    assert data.context_features == 0


def test_columns_and_contexts(path):
    first, last = ("a", "c") if path.suffix in (".csv", ".parquet") else (0, 2)
    data = open_table(path, columns=[last], context_columns=[first])
    order = drawn(seed=0)
    np.testing.assert_allclose(all_rows(data), numbers()[order][:, [2]], rtol=1e-12)
    context = numbers()[order[:80]][:, [0]]
    context = (context - context.mean()) / context.std()
    np.testing.assert_allclose(data.rows["train"].context.numpy(), context, atol=1e-5)
    assert (data.features, data.context_features) == (1, 1)
    assert data.raw.feature_names == [str(last)]


def test_converted_once_and_again_when_changed(path):
    first = open_table(path)
    files = {file: file.stat().st_mtime_ns for file in path.parent.rglob("meta.json")}
    open_table(path)
    assert files == {file: file.stat().st_mtime_ns for file in path.parent.rglob("meta.json")}
    write(path, numbers() + 1)
    second = open_table(path)
    np.testing.assert_allclose(all_rows(second), all_rows(first) + 1, rtol=1e-12)
    assert first.raw.sha256 != second.raw.sha256


def test_seed_shuffles(path):
    assert not np.array_equal(all_rows(open_table(path)), all_rows(open_table(path, seed=1)))


def test_without_standardisation_model_space_is_data_space(path):
    data = open_table(path, standardize=False)
    np.testing.assert_allclose(data.rows["val"].x.numpy(), data.raw.x["val"], rtol=1e-6)
    assert not data.rows["val"].log_det.any()


@pytest.mark.parametrize("suffix", [".npz", ".h5"])
@pytest.mark.parametrize("val", ["val", "validation"])
def test_split_given_by_three_arrays(tmp_path, suffix, val):
    x = numbers().astype(np.float32)
    arrays = {"train": x[:60], val: x[60:90], "test": x[90:]}
    path = tmp_path / f"t{suffix}"
    if suffix == ".npz":
        np.savez(path, **arrays)
    else:
        with h5py.File(path, "w") as file:
            for key, array in arrays.items():
                file[key] = array
    data = open_table(path)
    np.testing.assert_array_equal(data.raw.x["val"], x[60:90])
    assert data.raw.x["val"].dtype == np.float32
    np.testing.assert_allclose(data.rows["train"].x.mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(
        all_rows(open_table(path, key=val)).sum(), x[60:90].sum(), rtol=1e-5
    )


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_split_given_by_a_column(tmp_path, suffix):
    frame = pd.DataFrame(numbers(), columns=["a", "b", "c"])
    frame["part"] = (["test"] + ["train"] * 3 + ["validation"]) * 20
    path = tmp_path / f"t{suffix}"
    frame.to_csv(path, index=False) if suffix == ".csv" else frame.to_parquet(path)
    data = open_table(path, split_column="part", context_columns=["b"])
    np.testing.assert_allclose(data.raw.x["test"], numbers()[::5, [0, 2]], rtol=1e-12)
    np.testing.assert_allclose(data.raw.context["val"], numbers()[4::5, [1]], rtol=1e-12)
    assert len(data.rows["train"].x) == 60


def lines(*rows, header="a,b"):
    good = [f"{i},{i * i}" for i in range(40)]
    return "\n".join([header, *good[: 40 - len(rows)], *rows]) + "\n"


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
    with pytest.raises(DataError, match=r"column 'town' holds 'Oslo' in the split 'test'"):
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
    with pytest.raises(DataError, match=r"row 4, column '[a0]' is nan; row 8.*; row 51"):
        open_table(path)
    with pytest.warns(UserWarning, match="3 rows with missing values are left out"):
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
    with pytest.warns(UserWarning, match="1 rows with missing"):
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
        clipped = np.clip(np.asarray(plain.raw.x[split]), low, high)
        np.testing.assert_allclose(np.asarray(data.raw.x[split]), clipped, rtol=1e-12)
    np.testing.assert_allclose(data.rows["train"].x.std(0, correction=0), 1, rtol=1e-5)


@pytest.mark.parametrize("pair", [[0.1], [0.9, 0.1], [-0.1, 0.5], [0.5, 1.5]])
def test_odd_quantiles_are_refused(tmp_path, pair):
    with pytest.raises(DataError, match="expected two rising numbers between 0 and 1"):
        open_table(write(tmp_path / "t.npy", numbers()), clip_quantiles=pair)


def test_lattice_is_warned_about_and_dequantised_when_asked(town):
    path, frame = town
    columns = ["age", "height", "money"]
    with pytest.warns(UserWarning, match=r"values of 'age' \(step 1\) lie on a lattice") as told:
        open_table(path, columns=columns)
    assert len(told) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data = open_table(path, columns=columns, dequantize=True)
        again = open_table(path, columns=columns, dequantize=True, seed=1)
    for split in data.rows:
        x = np.asarray(data.raw.x[split])
        expected = frame.loc[index_of(data, frame, split), columns].to_numpy()
        np.testing.assert_array_equal(np.floor(x[:, 0]), expected[:, 0])
        np.testing.assert_allclose(x[:, 1:], expected[:, 1:])
    noise = all_rows(data)[:, 0] % 1
    assert len(np.unique(noise)) == 200
    assert 0.4 < noise.mean() < 0.6
    np.testing.assert_array_equal(np.sort(all_rows(again)[:, 0]), np.sort(all_rows(data)[:, 0]))


@pytest.mark.parametrize("step", [1, 0.01, 0.25, 1000])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_step_of_a_lattice(step, dtype):
    points = np.random.default_rng(0).integers(-300, 300, 2000)
    assert lattice_step((points * step).astype(dtype)) == pytest.approx(step)
    assert lattice_step((points * step + 240.5).astype(dtype)) == pytest.approx(step, rel=1e-4)


def test_no_lattice():
    rng = np.random.default_rng(0)
    for rows in (10, 100, 10_000):
        assert lattice_step(rng.normal(size=rows)) is None
    assert lattice_step(np.round(rng.normal(size=1000), 8)) is None  # only digits
    assert lattice_step(np.ones(9)) is None


def test_fingerprint_is_the_sha256_of_the_file(path):
    data = Table(path=path, cache_dir=path.parent / "cache")
    before = data.fingerprint()
    assert before == hashlib.sha256(path.read_bytes()).hexdigest()
    data.setup()
    path.unlink()
    assert data.fingerprint() == data.raw.sha256 == before


CONVERT = """
import re, resource, sys
from flowbench.data import Table
data = Table(path=sys.argv[1], cache_dir=sys.argv[1] + ".cache")
now = int(re.search("VmData:\\\\s+([0-9]+)", open("/proc/self/status").read())[1]) * 1024
resource.setrlimit(resource.RLIMIT_DATA, (now + int(sys.argv[2]),) * 2)
data.prepare_data()
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is limited on Linux")
@pytest.mark.parametrize("suffix", [".npy", ".h5", ".parquet", ".csv"])
def test_table_larger_than_the_memory_at_hand_is_converted(tmp_path, suffix):
    x = np.random.default_rng(0).normal(size=(5_000_000, 8))
    path = tmp_path / f"t{suffix}"
    if suffix == ".npy":
        np.save(path, x)
    elif suffix == ".h5":
        with h5py.File(path, "w") as file:
            file["x"] = x
    else:
        table = pa.table({f"c{column}": x[:, column] for column in range(8)})
        if suffix == ".csv":
            pyarrow.csv.write_csv(table, path)
        else:  # one row group is the least that can be read
            pyarrow.parquet.write_table(table, path, row_group_size=200_000)
    command = [sys.executable, "-c", CONVERT, str(path), str(x.nbytes * 3 // 4)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    shutil.rmtree(tmp_path)


BAD_CSV = [
    ("", {}, "is empty, expected a header line"),
    ("a,b\n", {}, r"t\.csv has no rows"),
    (lines("1,2,3"), {}, "row 40 has 3 fields, expected 2"),
    (lines("1"), {}, "row 40 has 1 field, expected 2"),
    (lines("1"), {"columns": ["a"]}, "row 40 has 1 field, expected 2"),
    (lines("7,old", "1,2"), {}, "row 39, column 'b' holds 'old', expected a finite number"),
    (lines("7,", "1,2"), {}, "row 39, column 'b' is nan"),
    (lines("nan,inf", "1,2"), {}, "row 39, column 'a' is nan; row 39, column 'b' is inf"),
    (lines(*["nan,1"] * 9), {}, "row 32, column 'a' is nan; .* and more"),
    ("a,b\n" + "3,1\n4,1\n" * 30, {}, r"a column must vary, but constant is 'b' \(always 1\)"),
    ("a,b\n" + "3,1\n4,1\n" * 30, {"context_columns": ["b"]}, "constant is 'b'"),
    (lines(), {"columns": ["aa"]}, "has no column 'aa'; did you mean 'a'?"),
    (lines(), {"context_columns": ["weight"]}, "has no column 'weight'; it has a, b"),
    (lines(), {"split_column": "split"}, "has no column 'split'"),
    (lines(), {"columns": ["a", "a"]}, "the column 'a' comes twice"),
    (lines(), {"columns": ["a"], "context_columns": ["a"]}, "the column 'a' comes twice"),
    (lines(header="a,a"), {}, "the column 'a' comes twice"),
    (lines(), {"context_columns": ["a", "b"]}, "has no column left to model"),
    (lines(), {"fractions": [0.8, 0.1, 0.2]}, r"fractions=\[0.8, 0.1, 0.2\]: expected three"),
    (lines(), {"fractions": [0.8, 0.2]}, "expected three numbers"),
    (lines(), {"fractions": [1.2, -0.1, -0.1]}, "expected three numbers"),
    (lines(), {"fractions": [0.9, 0.1, 0.0]}, "the split 'test' is empty"),
    (lines(), {"split_column": "b"}, "row 1, column 'b' holds '0', expected one of train, val"),
    ("a,b\n1,train\n2,train\n3,val\n", {"split_column": "b"}, "the split 'test' is empty"),
    (lines(), {"columns": ["a"], "categorical_columns": ["a"]}, "the column 'a' comes twice"),
    (lines(), {"group_column": "c"}, "has no column 'c'"),
    (lines(), {"group_column": "a", "split_column": "b"}, "expected one of them, or none"),
    ("a,b\n,\n,1\n", {"missing": "drop"}, "has no rows"),
]


@pytest.mark.parametrize(("text", "options", "message"), BAD_CSV)
def test_bad_csv_is_one_sentence(tmp_path, text, options, message):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(DataError, match=message) as caught:
        open_table(tmp_path / "t.csv", **options)
    assert "\n" not in str(caught.value)


def parquet(path, **columns):
    pyarrow.parquet.write_table(pa.table(columns), path)


BAD_FILES = [
    ("gone.csv", None, {}, r"gone\.csv is expected but does not exist; data\.path names it"),
    ("gone.npy", None, {}, r"gone\.npy is expected but does not exist"),
    ("t.txt", lambda p: p.write_text("1"), {}, r"the extension '.txt', expected one of .csv"),
    ("t.npy", lambda p: p.write_bytes(b"\x93NUMPY"), {}, "is no readable .npy file"),
    ("t.npy", lambda p: np.save(p, np.zeros(9)), {}, r"float64 of shape \(9,\), expected .* two"),
    ("t.npy", lambda p: np.save(p, np.full((9, 2), "a")), {}, "holds <U1 of shape"),
    ("t.npy", lambda p: np.save(p, np.full((9, 2), None)), {}, "is no readable .npy file"),
    ("t.npy", lambda p: np.save(p, [[1.0, np.inf]] * 9), {}, "row 1, column '1' is inf"),
    (
        "t.npy",
        lambda p: np.save(p, np.ones((9, 2))),
        {"columns": [2]},
        "no column '2'; it has 0, 1",
    ),
    ("t.npy", lambda p: np.save(p, np.ones((30, 2))), {"split_column": "1"}, "is no .csv or"),
    (
        "t.npz",
        lambda p: np.savez(p, u=np.ones((9, 2)), v=np.ones(3)),
        {},
        "the arrays u, v, expec",
    ),
    ("t.npz", lambda p: np.savez(p, u=np.ones((9, 2))), {"key": "w"}, "key=w: .* the arrays u"),
    ("t.npz", lambda p: p.write_bytes(b"PK"), {}, "is no readable .npz file"),
    ("t.h5", lambda p: h5py.File(p, "w").close(), {}, r"holds the arrays \(none\)"),
    ("t.h5", lambda p: p.write_bytes(b"nothing"), {}, "is no readable .h5 file"),
    ("t.parquet", lambda p: p.write_bytes(b"PAR1"), {}, "is no readable .parquet file"),
    ("t.parquet", lambda p: parquet(p, a=[1.0], b=["old"]), {}, "row 1, column 'b' holds 'old'"),
    ("t.parquet", lambda p: parquet(p, a=[1, 2, None]), {}, "row 3, column 'a' is nan"),
]


@pytest.mark.parametrize(("name", "make", "options", "message"), BAD_FILES)
def test_bad_file_is_one_sentence(tmp_path, name, make, options, message):
    if make is not None:
        make(tmp_path / name)
    with pytest.raises(DataError, match=message) as caught:
        open_table(tmp_path / name, **options)
    assert "\n" not in str(caught.value)


def test_splits_of_different_width_are_refused(tmp_path):
    x = numbers()
    np.savez(tmp_path / "t.npz", train=x, val=x[:, :2], test=x)
    with pytest.raises(DataError, match="differ in their number of columns"):
        open_table(tmp_path / "t.npz")


def test_too_many_labels_are_refused(tmp_path):
    x = np.stack([np.arange(2000.0), np.random.default_rng(0).normal(size=2000)], axis=1)
    np.save(tmp_path / "t.npy", x)
    with pytest.raises(DataError, match="column '0' has more than 1000 different values"):
        open_table(tmp_path / "t.npy", categorical_columns=[0])


def test_groups_beside_given_splits_are_refused(tmp_path):
    np.savez(tmp_path / "t.npz", train=numbers(), val=numbers(), test=numbers())
    with pytest.raises(DataError, match=r"group_column: .* holds the splits as arrays already"):
        open_table(tmp_path / "t.npz", group_column=0)
