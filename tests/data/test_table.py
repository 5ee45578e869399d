"""The user's own table: every format, every way to split it, every mistake in one sentence."""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
from tables import all_rows, drawn, numbers, open_table, parquet, write

from flowbench.data import DataError, Table


@pytest.fixture(params=[".csv", ".parquet", ".npy", ".npz", ".h5", ".hdf5"])
def path(request, tmp_path):
    return write(tmp_path / f"table{request.param}", numbers())


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
@pytest.mark.parametrize("val", ["val", "validation", "valid", "dev", "Dev"])
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


@pytest.mark.parametrize(("suffix", "val"), [(".csv", "validation"), (".parquet", "dev")])
def test_split_given_by_a_column(tmp_path, suffix, val):
    frame = pd.DataFrame(numbers(), columns=["a", "b", "c"])
    frame["part"] = ["test", "Train", "train", "training", val] * 20
    path = tmp_path / f"t{suffix}"
    frame.to_csv(path, index=False) if suffix == ".csv" else frame.to_parquet(path)
    data = open_table(path, split_column="part", context_columns=["b"])
    np.testing.assert_allclose(data.raw.x["test"], numbers()[::5, [0, 2]], rtol=1e-12)
    np.testing.assert_allclose(data.raw.context["val"], numbers()[4::5, [1]], rtol=1e-12)
    assert len(data.rows["train"].x) == 60


def lines(*rows, header="a,b"):
    good = [f"{i},{i * i}" for i in range(40)]
    return "\n".join([header, *good[: 40 - len(rows)], *rows]) + "\n"


BAD_CSV = [
    ("", {}, "is empty, expected a header line"),
    ("a,b\n", {}, r"t\.csv has no rows"),
    (lines("1,2,3"), {}, "row 40 has 3 fields, expected 2"),
    (lines("1"), {}, "row 40 has 1 field, expected 2"),
    (lines("1"), {"columns": ["a"]}, "row 40 has 1 field, expected 2"),
    (
        lines("7,old", "1,2"),
        {},
        "row 39, column 'b' holds 'old', expected a finite number; the rest .* data.missing=.old.",
    ),
    (lines("7,", "1,2"), {}, "row 39, column 'b' is nan"),
    (lines("nan,inf", "1,2"), {}, "row 39, column 'a' is nan; row 39, column 'b' is inf"),
    (lines(*["nan,1"] * 9), {}, r"row 32, column 'a' is nan \(and 8 more such cells\)"),
    (
        "a,b\n" + "3,1\n4,1\n" * 30,
        {},
        r"'b' is constant \(1\).*; data.drop_dependent=true or data.columns=\[a\] leaves out b",
    ),
    (
        "a,b\n" + "3,1\n4,1\n" * 30,
        {"context_columns": ["b"]},
        r"constant is 'b' .*; data.context_columns=\[\] leaves it out$",
    ),
    (lines(), {"columns": ["aa"]}, "has no column 'aa'; did you mean 'a'?"),
    (
        lines(),
        {"columns": ["A"], "weight_column": "B"},
        "mean 'a'.*no column 'B'; did you mean 'b'",
    ),
    (
        lines(),
        {"columns": ["a"], "weight_column": "a", "group_column": "c"},
        "'a' comes twice, in data.columns and data.weight_column; .*has no column 'c'",
    ),
    (
        "a,b\n" + "".join(f"{row},2020-01-01 {row}:00\n" for row in range(1500)),
        {},
        r"not a date \(and 1499 more such cells\)",
    ),
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
    (
        lines(),
        {"split_column": "b"},
        "row 1, column 'b' holds '0', expected one of train, training, val",
    ),
    ("a,b\n1,train\n2,train\n3,val\n", {"split_column": "b"}, "the split 'test' is empty"),
    (lines(), {"columns": ["a"], "categorical_columns": ["a"]}, "the column 'a' comes twice"),
    (lines(), {"group_column": "c"}, "has no column 'c'"),
    (lines(), {"group_column": "a", "split_column": "b"}, "expected one of them, or none"),
    ("a,b\n,\n,1\n", {"missing": "drop"}, "no row is left without the rows that have missing"),
]


@pytest.mark.filterwarnings("ignore:.*lie on a lattice")
@pytest.mark.parametrize(("text", "options", "message"), BAD_CSV)
def test_bad_csv_is_one_sentence(tmp_path, text, options, message):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(DataError, match=message) as caught:
        open_table(tmp_path / "t.csv", **options)
    assert "\n" not in str(caught.value)


BAD_FILES = [
    ("gone.csv", None, {}, r"gone\.csv is expected but does not exist; data\.path names it"),
    ("gone.npy", None, {}, r"gone\.npy is expected but does not exist"),
    ("t.csv", lambda p: p.mkdir(), {}, r"t\.csv is expected but is a folder"),
    ("t.doc", lambda p: p.write_text("1"), {}, r"the extension '.doc', expected one of .csv"),
    ("t.npy", lambda p: p.write_bytes(b"\x93NUMPY"), {}, "is not a readable .npy file"),
    ("t.npy", lambda p: np.save(p, np.zeros(9)), {}, r"float64 of shape \(9,\), expected .* two"),
    ("t.npy", lambda p: np.save(p, np.full((9, 2), "a")), {}, "holds <U1 of shape"),
    ("t.npy", lambda p: np.save(p, np.full((9, 2), None)), {}, "is not a readable .npy file"),
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
    ("t.npz", lambda p: p.write_bytes(b"PK"), {}, "is not a readable .npz file"),
    ("t.h5", lambda p: h5py.File(p, "w").close(), {}, r"holds the arrays \(none\)"),
    ("t.h5", lambda p: p.write_bytes(b"nothing"), {}, "is not a readable .h5 file"),
    ("t.parquet", lambda p: p.write_bytes(b"PAR1"), {}, "is not a readable .parquet file"),
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


def test_wrong_fractions_are_told_before_anything_is_read(tmp_path):
    with pytest.raises(DataError, match=r"fractions=\[0.8, 0.1\]: expected three numbers"):
        Table(path=tmp_path / "never_read.csv", fractions=[0.8, 0.1])


def test_fingerprint_is_the_sha256_of_the_file(path):
    data = Table(path=path, cache_dir=path.parent / "cache")
    before = data.fingerprint()
    assert before == hashlib.sha256(path.read_bytes()).hexdigest()
    data.setup()
    path.unlink()
    assert data.fingerprint() == data.raw.sha256 == before
