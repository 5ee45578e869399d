"""Columns with values that many rows share: found, warned about, given noise where that helps."""

import re
import warnings

import numpy as np
import pandas as pd
import pytest
from tables import all_rows, numbers, open_table, write

from flowbench.data import DataError
from flowbench.data.table.lattice import discreteness
from flowbench.transforms.lattice import LatticeCoordinates
from flowbench.transforms.steps import steps_of

RNG = np.random.default_rng(0)
NORMAL = RNG.normal(size=400)
FINE = {  # ordinary data: written down with some digits, or rounded to their type
    "few": NORMAL[:10],
    "hundred": NORMAL[:100],
    "many": RNG.normal(size=10_000),
    "eight digits": RNG.normal(size=1000).round(8),
    "one value": np.ones(9),
    "float32 of uniforms": RNG.random(200_000, np.float32),
    "float32 far from zero": RNG.normal(100, 1, 200_000).astype(np.float32),
    "float32, all of them whole": RNG.normal(1e10, 1e9, 5000).astype(np.float32),
    "a clipped thousandth": RNG.normal(size=5000).clip(-3.1, 3.1),
}
STEPS = {
    "whole, wide": (RNG.integers(0, 250_000, 5000), 1),
    "whole, few rows": (np.array([3, 1000, 77_777]), 1),
    "thousands": (RNG.integers(0, 500, 300) * 1000, 1000),
    "cents": (RNG.uniform(0, 5000, 50_000).round(2), 0.01),
    "seconds of today in float32": (RNG.integers(1.6e9, 1.6e9 + 5000, 2000, dtype=int), 128),
}


@pytest.mark.parametrize("name", FINE)
def test_ordinary_columns_are_not_discrete(name):
    found = discreteness(FINE[name])
    assert found.step is None
    assert not found.atoms


@pytest.mark.parametrize("name", STEPS)
def test_lattices_are_found_however_wide(name):
    values, step = STEPS[name]
    dtype = np.float32 if "float32" in name else np.float64
    found = discreteness(values.astype(dtype))
    assert found.step == pytest.approx(step, rel=1e-9)
    assert not found.atoms


@pytest.mark.parametrize("step", [1, 0.01, 0.25, 1000])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_step_of_a_lattice(step, dtype):
    points = np.random.default_rng(0).integers(-300, 300, 2000)
    assert discreteness((points * step).astype(dtype)).step == pytest.approx(step)
    found = discreteness((points * step + 240.5).astype(dtype)).step
    assert found == pytest.approx(step, rel=1e-4)


AGES = RNG.integers(18, 90, 4000).astype(float)
SOME = RNG.random(4000) < 0.1
KILOS = np.round(RNG.integers(80, 400, 4000) * 0.4536, 1)
CELSIUS = (RNG.integers(-200, 1100, 40_000) / 10 - 32) / 1.8
STRAYED = {  # values, the step of most of them, an atom off the lattice
    "a cell imputed by the mean": (np.where(np.arange(4000) == 7, AGES.mean(), AGES), 1, None),
    "a cell of a few": (np.append(np.arange(40.0), 19.75), 1, None),
    "cells imputed by the mean": (np.where(SOME, AGES.mean(), AGES), 1, AGES.mean()),
    "cells imputed by the median": (np.where(SOME, 53.5, AGES), 1, 53.5),
    "cells imputed by a model": (np.where(SOME, RNG.normal(50, 10, 4000), AGES), 1, None),
    "thousands and a stray": (np.append(AGES * 1000, 1234.0), 1000, None),
    "halves and a stray": (np.append(AGES + 0.5, 33.123), 1, None),
    "thirds and a stray": (np.append(AGES / 3, 1.01), 1 / 3, None),
    "thirds imputed": (np.where(SOME, 12.345, AGES / 3), 1 / 3, 12.345),
    "pounds as kilos": (KILOS, 0.1, None),
    "tenths of °F as °C": (CELSIUS.round(2), 0.01, None),
    "°F as °C": ((RNG.integers(0, 200, 4000) - 32) / 1.8, 1 / 1.8, None),
    "prices": (RNG.integers(1, 20, 4000) + RNG.choice([0.25, 0.49, 0.95], 4000), 0.02, None),
    "coins": (RNG.choice([1, 2, 5, 10, 20, 50], 4000), 1, None),
    "cents in float32": (RNG.normal(0, 100, 4000).round(2).astype(np.float32), 0.01, None),
}


@pytest.mark.parametrize("name", STRAYED)
def test_a_lattice_is_that_of_most_values(name):
    values, step, atom = STRAYED[name]
    found = discreteness(values)
    assert found.step == pytest.approx(step, rel=1e-6)
    assert [value for value, _ in found.atoms] == pytest.approx([] if atom is None else [atom])
    place = (found.origin - np.sort(values)) / step
    assert np.abs(place - np.rint(place))[np.abs(place).argmin()] < 1e-3
    assert found.on > 0.85


@pytest.mark.parametrize("name", [name for name, (_, _, atom) in STRAYED.items() if atom is None])
def test_noise_is_added_to_what_lies_on_the_lattice(name, tmp_path):
    values, step, _ = STRAYED[name]
    table(tmp_path / "t.parquet", values)
    rows = all_rows(open_table(tmp_path / "t.parquet", dequantize=True))[:, 0]
    assert (np.unique(rows, return_counts=True)[1] == 1).mean() > 0.99
    lost = np.sort(rows) - np.sort(values)
    assert -1e-6 < lost.min() <= lost.max() < step * 1.001


def test_an_imputed_value_that_noise_would_leave_is_refused(tmp_path):
    table(tmp_path / "t.csv", STRAYED["cells imputed by the median"][0])
    with pytest.raises(
        DataError, match=r"'age' \(53.5 in \d+.\d% .* data.missing=\[53.5\] leaves"
    ):
        open_table(tmp_path / "t.csv", dequantize=True)
    data = open_table(tmp_path / "t.csv", dequantize=True, missing=[53.5])
    assert len(all_rows(data)) == (~SOME).sum()


def test_findings_are_told_in_one_table(tmp_path):
    frame = pd.DataFrame({"age": np.where(SOME, 53.5, AGES), "kilos": KILOS, "x": CELSIUS[:4000]})
    frame["zeros"] = np.where(SOME, 0, RNG.normal(size=4000))
    frame.drop(columns="x").assign(u=RNG.normal(size=4000)).to_parquet(tmp_path / "t.parquet")
    with pytest.warns(UserWarning, match="a density has no bound") as told:
        open_table(tmp_path / "t.parquet")
    lines = [line.split()[0] for line in str(told[0].message).splitlines()[1:-1]]
    assert lines == ["column", "age", "age", "kilos", "zeros"]


@pytest.mark.parametrize(
    ("values", "atoms"),
    [
        (np.where(np.arange(400) % 2, NORMAL, 0), {0: 0.5}),
        (np.where(np.arange(400) % 2, NORMAL.round(6), 0), {0: 0.5}),
        (np.where(np.arange(50_000) % 2, RNG.uniform(1, 5000, 50_000).round(2), 0), {0: 0.5}),
        (
            np.array([0.1, 1 / 3, 0.77, 2.718] * 100),
            dict.fromkeys([0.1, 1 / 3, 0.77, 2.718], 0.25),
        ),
        (RNG.normal(size=5000).clip(-9, 2), {2: 0.02}),
        (RNG.normal(size=5000).clip(-1, 2), {-1: 0.16, 2: 0.02}),
    ],
)
def test_values_of_many_rows_are_found(values, atoms):
    found = discreteness(values)
    assert dict(found.atoms) == pytest.approx(atoms, abs=0.01)


def table(path, column):
    frame = pd.DataFrame({"age": column, "height": RNG.normal(size=len(column))})
    frame.to_csv(path, index=False) if path.suffix == ".csv" else frame.to_parquet(path)
    return frame


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_lattice_is_warned_about_and_dequantised_when_asked(tmp_path, suffix):
    path = tmp_path / f"t{suffix}"
    frame = table(path, RNG.integers(20, 80, 200))
    with pytest.warns(UserWarning, match=r"\nage .* in steps of 1 .* noise") as told:
        open_table(path)
    assert len(told) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data = open_table(path, dequantize=True)
        again = open_table(path, dequantize=True, seed=1)
    rows, other = all_rows(data), all_rows(again)
    rows, other = rows[rows[:, 1].argsort()], other[other[:, 1].argsort()]
    expected = frame.sort_values("height").to_numpy()
    np.testing.assert_array_equal(np.floor(rows[:, 0]), expected[:, 0])
    np.testing.assert_allclose(rows[:, 1], expected[:, 1])
    np.testing.assert_array_equal(rows, other)
    noise = rows[:, 0] % 1
    assert len(np.unique(noise)) == 200
    assert 0.4 < noise.mean() < 0.6


def test_noise_is_not_lost_in_rounding(tmp_path):
    x = np.stack([RNG.integers(0, 5000, 2000) + 2**24, RNG.normal(size=2000)], axis=1)
    x = x.astype(np.float32)
    np.save(tmp_path / "t.npy", x)
    data = open_table(tmp_path / "t.npy", dequantize=True)
    rows = all_rows(data)[:, 0]
    assert len(np.unique(rows)) == 2000
    np.testing.assert_array_equal(np.sort(np.floor(rows / 2) * 2), np.sort(x[:, 0]))


HELD_OUT = {  # of a column of whole numbers: values of test rows, and what is told
    "halves": ([3.5, 4.5, 5], r"'n' in 2 rows \(test 2; steps of 1\), get no noise, and score as"),
    "beyond": ([-4, 70, 5], r"'n' in 2 rows \(test 2; steps of 1\), score by a tail"),
    "all known": ([3, 4, 5], None),
}


@pytest.mark.parametrize("name", HELD_OUT)
@pytest.mark.parametrize("option", [{"dequantize": True}, {"discrete_columns": "auto"}])
def test_lattices_are_those_of_training_rows_and_others_are_told(name, option, tmp_path):
    values, told = HELD_OUT[name]
    n = np.concatenate([np.tile(np.arange(50.0), 4), np.arange(20.0), values])
    part = ["train"] * 200 + ["val"] * 20 + ["test"] * len(values)
    frame = pd.DataFrame({"n": n, "u": RNG.normal(size=len(n)), "part": part})
    frame.to_csv(tmp_path / "t.csv", index=False)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        data = open_table(tmp_path / "t.csv", split_column="part", **option)
    assert data.raw.lattices == {"n": [0.0, 1.0]}
    if told is None or (name, option) == ("beyond", {"dequantize": True}):
        assert not caught
    else:
        assert [bool(re.search(told, str(one.message))) for one in caught] == [True]
    test = np.asarray(data.raw.x["test"])[:, 0]
    np.testing.assert_array_equal(np.floor(test), np.floor(values))
    if name == "halves":
        np.testing.assert_array_equal(test[:2], values[:2])


def test_another_split_needs_no_original_and_a_changed_table_is_read_anew(tmp_path):
    path = tmp_path / "t.parquet"
    table(path, RNG.integers(0, 9, 300))
    data = open_table(path, dequantize=True)
    content = path.read_bytes()
    path.unlink()
    assert open_table(path, dequantize=True, seed=1).raw.lattices == data.raw.lattices
    path.write_bytes(content)
    table(path, RNG.integers(0, 9, 300) * 4)
    assert open_table(path, dequantize=True).raw.lattices == {"age": [0.0, 4.0]}


WIDE = {
    "whole, to 10⁵": (RNG.integers(0, 100_000, 4000), {}),
    "whole, to 2²⁴": (RNG.integers(0, 2**24, 4000), {}),
    "whole, from 2²⁴": (2.0**24 + RNG.integers(0, 5000, 4000), {}),
    "hundredths, to 10⁵": (RNG.lognormal(4, 2, 4000).clip(max=1e5).round(2), {}),
    "a logarithm": (RNG.integers(1, 20_000, 4000), {"log_columns": ["age"]}),
}


@pytest.mark.parametrize("name", WIDE)
def test_rows_stay_in_their_cells_when_they_are_rounded(name, tmp_path):
    values, options = WIDE[name]
    table(tmp_path / "t.parquet", values.astype(float))
    data = open_table(tmp_path / "t.parquet", dequantize=True, **options)
    origin, step = data.raw.lattices["age"]
    preprocess = list(steps_of([0], data.raw.preprocess, features=2))
    cells = LatticeCoordinates(1, origin=origin, step=step, preprocess=preprocess)
    for split, rows in data.rows.items():
        known = np.rint((np.asarray(data.raw.x[split])[:, 0] - origin) / step - 0.5)
        found = cells.inverse(rows.x[:, :1])[0].squeeze(-1).numpy()
        np.testing.assert_array_equal(np.floor(found + 1e-8), known)


def test_what_noise_cannot_treat_is_told(tmp_path):
    table(tmp_path / "t.csv", np.where(np.arange(400) % 2, NORMAL, 0))
    with pytest.warns(UserWarning, match=r"\nage +0 +5\d.\d% +refuses it"):
        open_table(tmp_path / "t.csv")
    with pytest.raises(DataError, match=r"'age' \(0 in 5\d.\d% .*data.missing=\[0\]"):
        open_table(tmp_path / "t.csv", dequantize=True)
    open_table(tmp_path / "t.csv", missing=[0])


@pytest.mark.parametrize(("pair", "share"), [([0, 0.95], "5.0%"), ([0.01, 0.999], "1.0%")])
def test_clipping_of_many_rows_is_told(tmp_path, pair, share):
    path = write(tmp_path / "t.npy", numbers())
    with pytest.warns(UserWarning, match=f"gives {share} of the rows the same value"):
        open_table(path, clip_quantiles=pair)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        open_table(path, clip_quantiles=[0.001, 0.999])


@pytest.mark.parametrize("standardize", [True, False])
def test_a_column_that_clipping_makes_constant_is_refused(tmp_path, standardize):
    x = numbers()
    x[3:, 1] = 0
    path = write(tmp_path / "t.npy", x)
    message = r"clipped by data.clip_quantiles=\[0.1, 0.9\]: .* constant is '1' \(always 0\)"
    with pytest.raises(DataError, match=message):
        open_table(path, clip_quantiles=[0.1, 0.9], standardize=standardize)


def test_left_out_rows_are_told_every_time(tmp_path):
    x = numbers()
    x[3, 0] = np.nan
    path = write(tmp_path / "t.npy", x)
    for _ in range(2):
        with pytest.warns(UserWarning, match="left out: 1 row with missing values"):
            open_table(path, missing="drop")
