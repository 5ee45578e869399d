"""Damaged and hostile files: one sentence that names the file, in bounded memory."""

import gzip
import io
import os
import shutil
import zipfile

import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest
from tables import all_rows, open_table

from flowbench.data import DataError
from flowbench.data.readers import readable

X = np.random.default_rng(0).normal(size=(60, 2))
CSV = pd.DataFrame(X, columns=["a", "b"]).to_csv(index=False).encode()
PACKED = gzip.compress(CSV)


def npy(shape, *, descr="<f8", order="False", body=b"", head=None):
    text = head or f"{{'descr':'{descr}','fortran_order':{order},'shape':{shape}}}"
    return b"\x93NUMPY\x01\x00v\x00" + text.encode().ljust(117) + b"\n" + body


def npz(content, *, name="x.npy"):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return out.getvalue()


BYTES = [
    ("t.csv", b"a,b\n1," + b"x" * 200_000, "row 1, column 'b' holds 'x{40}…', expected a finite"),
    (
        "t.csv",
        b"a,b\n1," + b"x" * 3_000_000,
        "not a readable .csv file: field larger",
    ),
    ("t.csv", b"a" * 3_000_000, "is not a readable .csv file: field larger than field limit"),
    ("t.csv", b"a,b\n" + b'"' * 99_999, "is not a readable .csv|row 1"),
    ("t.csv", b"\0" * 999, "t.csv"),
    ("t.csv", os.urandom(5000), "t.csv"),
    ("t.csv", b"\n" * 9999, "is empty, expected a header"),
    ("t.csv.gz", PACKED[:-20], "is not a readable .csv file: Compressed file ended"),
    ("t.csv.gz", PACKED[:99] + b"\xff\xff" + PACKED[101:], "is not a readable .csv file"),
    ("t.csv.gz", CSV, "is not a readable .csv file: Not a gzipped file"),
    ("t.csv.gz", gzip.compress(bytes(10**7)), "is not a readable .csv file: field larger"),
    ("t.csv.xz", CSV, "is not a readable .csv file"),
    ("t.csv.bz2", CSV, "is not a readable .csv file"),
    ("t.csv.zst", CSV, "is not a readable .csv file"),
    ("t.csv.zip", CSV, "is not a readable .csv file: File is not a zip file"),
    ("t.feather", CSV, "is not a readable .feather file"),
    ("t.parquet", CSV, "is not a readable .parquet file"),
    ("t.h5", CSV, "is not a readable .h5 file"),
    ("t.npz", CSV, "is not a readable .npz file"),
    ("t.npy", npy(0, head="{{{{"), "is not a readable .npy file"),
    ("t.npy", npy((10**12, 2)), "is not a readable .npy file"),
    ("t.npy", npy((-5, 2)), "is not a readable .npy file"),
    ("t.npy", npy((60, 2), body=X.tobytes()[:-1]), "is not a readable .npy file"),
    ("t.npz", npz(npy(0, head="{{{{")), "is not a readable .npz file"),
    ("t.npz", npz(npy((10**12, 2), body=bytes(960))), "'x.npy' claims .*, but holds 960"),
    ("t.npz", npz(npy((-60, -1), body=bytes(480))), "'x.npy' claims"),
    (
        "t.npz",
        npz(npy((60, 2), descr="|O", body=bytes(960))),
        "expected numbers in two",
    ),
    ("t.npz", npz(b""), "is not a readable .npz file"),
    ("t.npz", npz(b"", name="x.txt"), r"holds the arrays \(none\)"),
]


@pytest.mark.parametrize(("name", "content", "message"), BYTES)
def test_a_hostile_file_is_one_sentence(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        open_table(tmp_path / name)
    assert str(tmp_path / name) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_in_an_npz_are_read_in_any_order(tmp_path, order):
    np.savez_compressed(
        tmp_path / "t.npz", train=np.asarray(X, order=order), val=X[:9], test=X[9:]
    )
    np.testing.assert_array_equal(all_rows(open_table(tmp_path / "t.npz"))[:60], X)


def test_links_of_an_h5_that_lead_nowhere_are_no_arrays(tmp_path):
    with h5py.File(tmp_path / "t.h5", "w") as file:
        file["a"], file["b"] = h5py.SoftLink("/b"), h5py.SoftLink("/a")
        file["root"], file["other"] = h5py.SoftLink("/"), h5py.ExternalLink("gone.h5", "/x")
        file["x"] = X
    assert len(all_rows(open_table(tmp_path / "t.h5"))) == 60
    with pytest.raises(DataError, match=r"t\.h5 is not a readable \.h5 file: .*too many links"):
        open_table(tmp_path / "t.h5", key="a")


def unwritten(path):
    with h5py.File(path, "w") as file:
        file.create_dataset("x", shape=(10**11, 2), chunks=(1000, 2), dtype="f8")


def repeated(path):
    pyarrow.parquet.write_table(pa.table({"a": np.zeros(10**6)}), path)


@pytest.mark.parametrize(("name", "make"), [("t.h5", unwritten), ("t.parquet", repeated)])
def test_space_is_required_before_anything_is_written(tmp_path, monkeypatch, name, make):
    make(tmp_path / name)
    free = type("Usage", (), {"free": 7_000_000})
    monkeypatch.setattr(shutil, "disk_usage", lambda _: free)
    with pytest.raises(DataError, match=rf"converting .*{name} needs (8 MB|1.6 TB)"):
        open_table(tmp_path / name)
    assert not list(tmp_path.rglob("*.npy"))


def test_an_h5_of_too_many_columns_is_refused(tmp_path):
    with h5py.File(tmp_path / "t.h5", "w") as file:
        file.create_dataset("x", shape=(3, 10**9), chunks=(1, 1000), dtype="f8")
    with pytest.raises(DataError, match="has 1,000,000,000 columns, expected at most 100,000"):
        open_table(tmp_path / "t.h5")


@pytest.mark.parametrize("error", [EOFError(), MemoryError(), RecursionError("deep\nand more")])
def test_the_net_catches_every_error(tmp_path, error):
    with pytest.raises(DataError) as caught, readable(tmp_path / "t.npy"):
        raise error
    reason = str(error).partition("\n")[0] or type(error).__name__
    assert str(caught.value) == f"{tmp_path / 't.npy'} is not a readable .npy file: {reason}"


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("value", [-1e308, 1e200])
def test_a_column_whose_variance_is_beyond_float64_is_named(tmp_path, value):
    x = X.copy()
    x[7, 1] = value
    np.save(tmp_path / "t.npy", x)
    with pytest.raises(DataError, match=r"variance .* is infinite or 0 in '1' \("):
        open_table(tmp_path / "t.npy", fractions=[0.9, 0.05, 0.05], seed=1)


def test_a_column_whose_variance_is_below_float64_is_named(tmp_path):
    np.save(tmp_path / "t.npy", X * [1, 1e-200])
    with pytest.raises(DataError, match=r"variance .* is infinite or 0 in '1' \("):
        open_table(tmp_path / "t.npy")
