"""GAS out of pickles of any age, which must not run anything, and out of the text at UCI."""

import json
import os
import pickle
import shutil
import struct
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from flowbench.data import DataError, Gas, GasArticle, GasRaw
from flowbench.data.uci.gas_article import find_correlation
from flowbench.data.uci.gas_pickle import read_pickled_table


def sensors(rows=400, *, seed=0):
    """Time, CO, ethylene and 16 sensors in pairs of near-copies; of each, the second stays."""
    rng = np.random.default_rng(seed)
    first = rng.normal(size=(rows, 8)) * np.arange(1, 9)
    both = np.stack([first + 0.01 * rng.normal(size=first.shape), first], axis=-1)
    extra = np.stack([np.arange(rows) / 100, rng.integers(0, 3, rows), rng.integers(0, 3, rows)])
    return np.concatenate([extra.T, both.reshape(rows, 16)], axis=1)


def table(rows=400):
    names = ["Time", "Meth", "Eth", *(f"s{i}" for i in range(16))]
    return pd.DataFrame(sensors(rows), columns=names)


class Legacy:
    """Writes the opcodes of Python 2 and pandas 0.20 at protocol 2 by hand."""

    def text(self, value):
        return b"U" + bytes([len(value)]) + value.encode()

    def integer(self, value):
        return b"J" + struct.pack("<i", value)

    def array(self, shape, kind, order, raw):
        size = b"".join(self.integer(n) for n in shape)
        return (
            b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n"
            + (self.integer(0) + b"\x85" + self.text("b") + b"\x87R(" + self.integer(1))
            + (b"(" + size + b"t" + b"cnumpy\ndtype\n" + self.text(kind) + self.integer(0))
            + (self.integer(1) + b"\x87R(" + self.integer(3) + self.text(order) + b"NNN")
            + (self.integer(-1) + self.integer(-1) + self.integer(0) + b"tb" + b"\x89" + raw)
            + b"tb"
        )

    def index(self, names):
        listed = b"](" + b"".join(self.text(name) for name in names) + b"e"
        data = self.array([len(names)], "O8", "|", listed)
        return b"cpandas.indexes.base\n_new_Index\ncpandas.indexes.base\nIndex\n}(" + (
            self.text("data") + data + self.text("name") + b"Nu\x86R"
        )

    def block(self, values):
        raw = np.ascontiguousarray(values.T, "<f8").tobytes()
        packed = b"T" + struct.pack("<i", len(raw)) + raw
        return self.array(values.T.shape, "f8", "<", packed)

    def frame(self, frame, groups):
        rows = self.array(
            [len(frame)],
            "i8",
            "<",
            b"T"
            + struct.pack("<i", 8 * len(frame))
            + np.arange(len(frame), dtype="<i8").tobytes(),
        )
        axes = b"](" + self.index(frame.columns) + rows + b"e"
        blocks = b"](" + b"".join(self.block(frame[g].to_numpy()) for g in groups) + b"e"
        items = b"](" + b"".join(self.index(g) for g in groups) + b"e"
        manager = b"cpandas.core.internals\nBlockManager\n)\x81(" + axes + blocks + items + b"}tb"
        state = b"}(" + self.text("_data") + manager + self.text("_typ") + self.text("dataframe")
        return b"\x80\x02cpandas.core.frame\nDataFrame\n)\x81" + state + b"ub."


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_reads_what_the_installed_pandas_writes(tmp_path, protocol):
    frame = table(50)
    frame["Meth"] = frame["Meth"].astype(np.int64)  # a block of its own
    frame = frame[["s3", *frame.columns.drop("s3")]]
    frame.sample(frac=0.5, random_state=0).to_pickle(tmp_path / "t.pickle", protocol=protocol)
    columns = read_pickled_table(tmp_path / "t.pickle")
    expected = pd.read_pickle(tmp_path / "t.pickle")
    assert list(columns) == list(expected.columns)
    np.testing.assert_array_equal(np.stack(list(columns.values()), 1), expected.to_numpy())


def test_reads_the_layout_of_python_2(tmp_path):
    frame = table(60)
    groups = [["s3", "Time"], [name for name in frame if name not in ("s3", "Time")]]
    (tmp_path / "t.pickle").write_bytes(Legacy().frame(frame, groups))
    columns = read_pickled_table(tmp_path / "t.pickle")
    assert list(columns) == list(frame.columns)
    np.testing.assert_array_equal(np.stack(list(columns.values()), 1), frame.to_numpy())


class Malicious:
    def __init__(self, call, *args):
        self.call = (call, args)

    def __reduce__(self):
        return self.call


def hostile(marker):
    import os

    touch = Malicious(os.system, f"touch {marker}")
    frame = table(30)
    frame.attrs["x"] = Malicious(eval, f"open({str(marker)!r}, 'w')")
    for content in (touch, [touch], {"_mgr": touch}, frame):
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            yield pickle.dumps(content, protocol)
    yield b"cos\nsystem\n(S'touch " + str(marker).encode() + b"'\ntR."
    yield b"(S'touch " + str(marker).encode() + b"'\nios\nsystem\n."


def test_runs_nothing(tmp_path):
    marker = tmp_path / "ran"
    for content in hostile(marker):
        (tmp_path / "t.pickle").write_bytes(content)
        try:
            columns = read_pickled_table(tmp_path / "t.pickle")
        except DataError:
            continue
        finally:
            assert not marker.exists()
        assert list(columns)[:2] == ["Time", "Meth"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no pickle",
        pickle.dumps([1, 2]),
        pickle.dumps(pd.DataFrame({"a": ["x", "y"]})),
        pickle.dumps(pd.DataFrame({"a": [1.0]}))[:-30],
        pickle.dumps(pd.Series([1.0])),
    ],
)
def test_odd_pickle_is_one_sentence(tmp_path, content):
    (tmp_path / "t.pickle").write_bytes(content)
    with pytest.raises(DataError, match=r"t\.pickle is not a pickled pandas table of numbers"):
        read_pickled_table(tmp_path / "t.pickle")


def test_gas_follows_the_protocol(tmp_path):
    frame = table()
    frame.to_pickle(tmp_path / "gas.pickle")
    data = Gas(path=tmp_path / "gas.pickle", cache_dir=tmp_path / "cache")
    data.setup()
    kept = frame[[f"s{i}" for i in range(1, 16, 2)]]
    assert data.raw.feature_names == list(kept.columns)
    np.testing.assert_array_equal(data.raw.x["val"], kept.to_numpy()[324:360])
    model = ((kept - kept.mean()) / kept.std()).to_numpy()
    np.testing.assert_allclose(data.rows["test"].x.numpy(), model[360:], atol=1e-5)


def test_gas_without_time_is_refused(tmp_path):
    table().drop(columns="Time").to_pickle(tmp_path / "gas.pickle")
    with pytest.raises(DataError, match="has no column 'Time'"):
        Gas(path=tmp_path / "gas.pickle", cache_dir=tmp_path / "cache").setup()


HEADER = "Time (seconds), CO conc (ppm), Ethylene conc (ppm), sensor readings (16 channels)\n"


def write_text(path, values, *, header=HEADER):
    lines = ["  ".join(f"{value:.2f}" for value in row) for row in values]
    path.write_text(header + "\n".join(lines) + "\n")


def test_gas_raw_reads_the_text(tmp_path):
    values = np.round(sensors(), 2)
    write_text(tmp_path / "e.txt", values)
    data = GasRaw(path=tmp_path / "e.txt", cache_dir=tmp_path / "cache", seed=3)
    data.setup()
    assert data.raw.feature_names == [f"sensor{i}" for i in range(2, 17, 2)]
    parts = [data.raw.x[split] for split in ("train", "val", "test")]
    assert [len(part) for part in parts] == [324, 36, 40]
    rows = np.concatenate(parts)
    np.testing.assert_array_equal(np.sort(rows, axis=0), np.sort(values[:, 4::2], axis=0))
    assert not np.array_equal(rows, values[:, 4::2])
    model = (rows[360:] - rows[:360].mean(0)) / rows[:360].std(0, ddof=1)
    np.testing.assert_allclose(data.rows["test"].x.numpy(), model, atol=1e-5)


def test_gas_raw_shuffles_by_the_seed(tmp_path):
    np.save(tmp_path / "g.npy", sensors()[:, 4::2])
    first, again, other = (
        GasRaw(path=tmp_path / "g.npy", cache_dir=tmp_path / "cache", seed=seed).read().x["test"]
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert first.shape == (40, 8)


def replaced(row, text):
    def change(path):
        write_text(path, sensors(50))
        lines = path.read_text().splitlines()
        lines[row] = text(lines[row])
        path.write_text("\n".join(lines))

    return change


BAD = [
    (None, r"is expected but does not exist; it comes from 'Gas sensor array.*dataset/322"),
    (lambda p: write_text(p, sensors(50)[:, :18]), "row 1 has 18 fields, expected 19"),
    (replaced(7, lambda line: line + " 1"), "row 7 has 20 fields, expected 19"),
    (replaced(7, lambda line: line[:-12]), r"row 7 has \d+ fields, expected 19"),
    (replaced(7, lambda line: "x" + line), "row 7, column '1' holds 'x0.06', expected a finite"),
    (replaced(7, lambda line: "nan" + line[4:]), "row 7, column '1' holds 'nan'"),
    (lambda p: write_text(p, sensors(50), header=""), "the first line must be a header"),
    (lambda p: p.write_text(HEADER), "No columns to parse"),
    (lambda p: write_text(p, 0 * sensors(50)), r"constant is 'sensor1' \(always 0\)"),
]


@pytest.mark.parametrize(("make", "message"), BAD)
def test_bad_text_is_one_sentence(tmp_path, make, message):
    if make is not None:
        make(tmp_path / "e.txt")
    with pytest.raises(DataError, match=message) as caught:
        GasRaw(path=tmp_path / "e.txt", cache_dir=tmp_path / "cache").setup()
    assert "\n" not in str(caught.value)


def test_find_correlation_is_that_of_caret():
    x = np.eye(5)
    upper = [0.86, 0.56, 0.32, 0.85, 0.01, 0.74, 0.32, 0.65, -0.91, 0.36]
    x[np.triu_indices(5, 1)] = upper
    x = x + x.T - np.eye(5)
    assert find_correlation(x, cutoff=0.6) == [1, 2]  # 1, 5 and 4 go, in this order
    pairs = np.eye(5)
    for row, column, value in ((1, 2, 0.7), (4, 2, -0.7), (3, 0, -0.67)):
        pairs[row, column] = pairs[column, row] = value
    kept = find_correlation(pairs, cutoff=0.65)
    np.testing.assert_array_equal(pairs[np.ix_(kept, kept)], np.eye(3))
    assert find_correlation(pairs, cutoff=0.99) == [0, 1, 2, 3, 4]


def test_gas_article_is_one_half_against_the_other(tmp_path):
    values = np.round(sensors(), 2)
    write_text(tmp_path / "e.txt", values)
    data = GasArticle(path=tmp_path / "e.txt", cache_dir=tmp_path / "cache", seed=3)
    data.setup()
    assert len(data.raw.feature_names) == 8
    columns = [int(name.removeprefix("X")) - 1 for name in data.raw.feature_names]
    assert [(column - 3) // 2 for column in columns] == list(range(8))  # one of each pair
    parts = [data.raw.x[split] for split in ("train", "val", "test")]
    assert [len(part) for part in parts] == [180, 20, 200]
    rows = np.concatenate(parts)
    np.testing.assert_array_equal(np.sort(rows, axis=0), np.sort(values[:, columns], axis=0))
    assert not np.array_equal(rows, values[:, columns])
    model = (rows[200:] - rows.mean(0)) / rows.std(0, ddof=1)
    np.testing.assert_allclose(data.rows["test"].x.numpy(), model, atol=1e-5)


def test_gas_article_reads_the_original_of_gas_raw(tmp_path):
    (tmp_path / "gas_raw").mkdir()
    write_text(tmp_path / "gas_raw" / "ethylene_CO.txt", sensors())
    with pytest.raises(DataError, match=r"shape \(180, 8\), expected \(1893717, 8\)"):
        GasArticle(data_dir=tmp_path, cache_dir=tmp_path / "cache").setup()


CONVERT = """
import json, os, resource, sys
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
from flowbench.data import GasRaw
data = GasRaw(data_dir=sys.argv[1], cache_dir=sys.argv[1] + "/cache")
data.prepare_data()
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
data.setup()
print(json.dumps({"peak": peak, "rows": len(data.rows["train"]),
                  "features": data.features}))
"""


@pytest.mark.slow
def test_text_of_the_full_size_is_converted_in_bounded_memory(tmp_path):
    original = tmp_path / "gas_raw" / "ethylene_CO.txt"
    original.parent.mkdir()
    rows, block = 4_208_261, 20_000
    values = sensors(block)
    values[:, 3:] = values[:, 3:] * 1000 + 20_000
    lines = ["  ".join(f"{value:.2f}" for value in row) for row in values]
    text = "\n".join(lines) + "\n"
    with original.open("w") as file:
        file.write(HEADER)
        for _ in range(rows // block):
            file.write(text)
        file.write("\n".join(lines[: rows % block]) + "\n")
    assert original.stat().st_size > 600e6
    try:
        command = [sys.executable, "-c", CONVERT, str(tmp_path)]
        done = subprocess.run(command, capture_output=True, check=True, env=os.environ)
        found = json.loads(done.stdout)
        print(found | {"bytes": original.stat().st_size})
    finally:
        shutil.rmtree(tmp_path)
    assert (found["rows"], found["features"]) == (3_408_692, 8)
    assert found["peak"] < 2 * 2**30
