"""The protocols of POWER, HEPMASS, MINIBOONE and BSDS300, against straightforward versions."""

import shutil

import h5py
import numpy as np
import pandas as pd
import pytest
from real_data import real

from flowbench.data import Bsds300, DataError, Hepmass, Miniboone, Power


def gaussian(data):
    """Mean log-density of the test rows under a full-covariance Gaussian of the training rows."""
    train, test = (data.rows[split].x.double().numpy() for split in ("train", "test"))
    factor = np.linalg.cholesky(np.cov(train.T, bias=True))
    white = np.linalg.solve(factor, (test - train.mean(0)).T)
    constant = np.log(np.diag(factor)).sum() + 0.5 * test.shape[1] * np.log(2 * np.pi)
    return -0.5 * (white**2).sum(0).mean() - constant


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_power_draws_shuffle_and_noise_in_the_order_of_the_paper(tmp_path, rng):
    original = rng.normal(size=(230, 8)) * 10
    np.savez(tmp_path / "x.npz", x=original)
    data = Power(path=tmp_path / "x.npz", cache_dir=tmp_path / "cache")
    data.setup()

    state = np.random.RandomState(42)
    rows = original.copy()
    state.shuffle(rows)
    voltage, active = 0.01 * state.rand(230, 1), 0.001 * state.rand(230, 1)
    noise = np.hstack([active, voltage, state.rand(230, 3), np.zeros((230, 1))])
    expected = rows[:, [0, 2, 4, 5, 6, 7]] + noise
    got = np.concatenate([data.raw.x[split] for split in ("train", "val", "test")])
    np.testing.assert_allclose(got, expected, rtol=1e-14)
    assert [len(data.rows[split].x) for split in ("train", "val", "test")] == [187, 20, 23]
    known = expected[:207]
    model = (expected[207:] - known.mean(0)) / known.std(0)
    np.testing.assert_allclose(data.rows["test"].x.numpy(), model, atol=1e-5)
    np.testing.assert_allclose(data.rows["test"].log_det, -np.log(known.std(0)).sum())


def test_miniboone_is_contiguous(tmp_path, rng):
    original = rng.normal(size=(100, 43)).astype(np.float32)
    np.save(tmp_path / "data.npy", original)
    data = Miniboone(path=tmp_path / "data.npy", cache_dir=tmp_path / "cache")
    data.setup()
    np.testing.assert_array_equal(data.raw.x["val"], original[81:90])
    assert data.raw.x["train"].dtype == np.float32
    known = original[:90].astype(float)
    model = (original[90:] - known.mean(0)) / known.std(0)
    np.testing.assert_allclose(data.rows["test"].x.numpy(), model, atol=1e-6)


def hepmass_files(folder, rng):
    """Two files as the authors': label, five features, one column too many in the test file."""
    folder.mkdir()
    tables = {}
    for name, rows in (("1000_train", 300), ("1000_test", 150)):
        table = pd.DataFrame(rng.normal(size=(rows, 5)), columns=[f"f{i}" for i in range(5)])
        table["f1"] = rng.integers(0, 3, rows)  # its smallest value comes more than five times
        table["f3"] = np.maximum(table["f3"], -1000 + np.arange(rows))
        table.insert(0, "# label", (np.arange(rows) % 3 != 0).astype(float))
        tables[name] = table
    tables["1000_test"]["mass"] = 1.0
    for name, table in tables.items():
        table.to_csv(folder / f"{name}.csv", index=False)
    return tables


def test_hepmass_keeps_continuous_features_of_the_signal(tmp_path, rng):
    tables = hepmass_files(tmp_path / "hepmass", rng)
    data = Hepmass(path=tmp_path / "hepmass", cache_dir=tmp_path / "cache")
    data.setup()
    train = tables["1000_train"].query("`# label` == 1")[["f0", "f2", "f3", "f4"]]
    test = tables["1000_test"].query("`# label` == 1")[["f0", "f2", "f3", "f4"]]
    assert data.raw.feature_names == list(train.columns)
    np.testing.assert_allclose(data.raw.x["train"], train.to_numpy()[:180])
    np.testing.assert_allclose(data.raw.x["val"], train.to_numpy()[180:])
    model = (test - train.mean()) / train.std()
    np.testing.assert_allclose(data.rows["test"].x.numpy(), model, atol=1e-5)


def bsds_file(path, rng, *, columns=63):
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        for key, rows in (("train", 30), ("validation", 10), ("test", 20)):
            file[key] = rng.normal(size=(rows, columns))


def test_bsds300_is_used_as_it_is(tmp_path, rng):
    bsds_file(tmp_path / "b.hdf5", rng)
    data = Bsds300(path=tmp_path / "b.hdf5", cache_dir=tmp_path / "cache")
    data.setup()
    with h5py.File(tmp_path / "b.hdf5") as file:
        np.testing.assert_array_equal(data.raw.x["val"], file["validation"])
    assert data.rows["test"].x.shape == (20, 63)
    assert not data.rows["test"].log_det.any()


def test_bsds300_may_lie_in_a_folder_in_capitals(tmp_path, rng):
    bsds_file(tmp_path / "BSDS300" / "BSDS300.hdf5", rng)
    with pytest.raises(
        DataError, match=r"shape \(30, 63\), expected \(1000000, 63\): .*truncated"
    ):
        Bsds300(data_dir=tmp_path, cache_dir=tmp_path / "cache").setup()


def save(path, array):
    np.save(path, array)


def write_csv(path, text):
    path.mkdir()
    for name in ("1000_train.csv", "1000_test.csv"):
        (path / name).write_text(text)


def with_nan(shape):
    x = np.random.default_rng(0).normal(size=shape)
    x[6, 2] = np.nan
    return x


BAD = [
    (Power, "missing.npy", None, r"missing\.npy is expected but does not exist; .*1161203"),
    (Power, "p.npy", lambda p: save(p, np.zeros((30, 7))), r"\(30, 7\), expected \[rows, 8\]"),
    (Power, "p.npy", lambda p: save(p, np.zeros((3, 8))), "at least 20 rows"),
    (Power, "p.npy", lambda p: p.write_bytes(b"\x93NUMPY"), "not a readable .npy"),
    (Power, "p.npz", lambda p: np.savez(p, y=np.zeros((30, 8))), "an .npz with an array 'x'"),
    (Power, "p.npy", lambda p: save(p, with_nan((50, 8))), "row 7, column 'voltage' is nan"),
    (Miniboone, "m.npy", lambda p: save(p, with_nan((50, 43))), "row 7, column 'x2' is nan"),
    (Miniboone, "m.npy", lambda p: save(p, np.zeros((50, 43))), r"constant is 'x0' \(always 0\)"),
    (Miniboone, "m.npy", lambda p: save(p, np.full((50, 43), "a")), "<U1 of shape"),
    (Hepmass, "missing", None, r"1000_train\.csv is expected but does not exist"),
    (Hepmass, "h", lambda p: write_csv(p, "l,a,b\n" + "1,x,2\n" * 30), "not a table of numbers"),
    (Hepmass, "h", lambda p: write_csv(p, "l,a,b\n" + "0,1,2\n" * 30), "has 0 signal rows"),
    (Hepmass, "h", lambda p: write_csv(p, "l,a,b\n" + "1,1,2\n" * 30), "and one more"),
    (
        Bsds300,
        "b.hdf5",
        lambda p: bsds_file(p, np.random.default_rng(0), columns=64),
        r"\(30, 64\)",
    ),
    (Bsds300, "b.hdf5", lambda p: h5py.File(p, "w").close(), "lacks one of train, validation"),
    (Bsds300, "b.hdf5", lambda p: p.write_bytes(b"nothing"), "is damaged or lacks"),
]


@pytest.mark.parametrize(("module", "name", "make", "message"), BAD)
def test_bad_original_is_one_sentence(tmp_path, module, name, make, message):
    path = tmp_path / name
    if make is not None:
        make(path)
    with pytest.raises(DataError, match=message) as caught:
        module(path=path, cache_dir=tmp_path / "cache").setup()
    assert "\n" not in str(caught.value)


def test_truncated_original_is_refused_even_when_converted_before(tmp_path, rng):
    path = tmp_path / "power" / "data.npy"
    path.parent.mkdir()
    np.save(path, rng.normal(size=(100, 8)))
    Power(path=path, cache_dir=tmp_path / "cache").setup()
    with pytest.raises(
        DataError, match=r"train split of shape \(81, 6\), expected \(1659917, 6\)"
    ):
        Power(data_dir=tmp_path, cache_dir=tmp_path / "cache").setup()


def test_half_a_year_of_power_gives_the_known_gaussian(tmp_path):
    data = Power(path=real("power/power_2007h1.npz"), cache_dir=tmp_path)
    data.setup()
    assert len(data.rows["train"].x) == 208_065
    assert gaussian(data) == pytest.approx(-7.864, abs=0.005)


def write_originals(name, root, rng):
    root.mkdir()
    if name == "hepmass":
        hepmass_files(root / "hepmass", rng)
    elif name == "bsds300":  # in the folder of the authors' archive
        (root / "BSDS300").mkdir()
        with h5py.File(root / "BSDS300" / "BSDS300.hdf5", "w") as file:
            for key in ("train", "validation", "test"):
                file[key] = rng.normal(size=(30, 63))
    else:
        (root / name).mkdir()
        columns = {"power": 8, "miniboone": 43}[name]
        np.save(root / name / "data.npy", rng.normal(size=(100, columns)))


@pytest.mark.parametrize("cls", [Power, Miniboone, Hepmass, Bsds300])
def test_originals_may_go_after_conversion(tmp_path, rng, cls):
    write_originals(cls.name, tmp_path / "data", rng)
    places = {"data_dir": tmp_path / "data", "cache_dir": tmp_path / "cache"}
    small = type(cls.__name__, (cls,), {"expected": {}})
    before = small(**places)
    before.setup()
    shutil.rmtree(tmp_path / "data")
    after = small(**places)
    assert after.fingerprint() == before.raw.sha256
    after.prepare_data()  # where nothing may be downloaded
    after.setup()
    np.testing.assert_array_equal(after.raw.x["train"], before.raw.x["train"])
