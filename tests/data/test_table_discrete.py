"""Columns with values that many rows share: found, warned about, given noise where that helps."""

import warnings

import numpy as np
import pandas as pd
import pytest
from tables import all_rows, numbers, open_table, write

from flowbench.data import DataError
from flowbench.data.table.lattice import discreteness

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
    assert (found.step, found.atom) == (None, None)


@pytest.mark.parametrize("name", STEPS)
def test_lattices_are_found_however_wide(name):
    values, step = STEPS[name]
    dtype = np.float32 if "float32" in name else np.float64
    found = discreteness(values.astype(dtype))
    assert found.step == pytest.approx(step, rel=1e-9)
    assert found.atom is None


@pytest.mark.parametrize("step", [1, 0.01, 0.25, 1000])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_step_of_a_lattice(step, dtype):
    points = np.random.default_rng(0).integers(-300, 300, 2000)
    assert discreteness((points * step).astype(dtype)).step == pytest.approx(step)
    found = discreteness((points * step + 240.5).astype(dtype)).step
    assert found == pytest.approx(step, rel=1e-4)


@pytest.mark.parametrize(
    ("values", "atom", "share"),
    [
        (np.where(np.arange(400) % 2, NORMAL, 0), 0, 0.5),
        (np.where(np.arange(400) % 2, NORMAL.round(6), 0), 0, 0.5),
        (np.where(np.arange(50_000) % 2, RNG.uniform(1, 5000, 50_000).round(2), 0), 0, 0.5),
        (np.array([0.1, 1 / 3, 0.77, 2.718] * 100), 0.1, 0.25),
        (RNG.normal(size=5000).clip(-9, 2), 2, 0.02),
    ],
)
def test_values_of_many_rows_are_found(values, atom, share):
    found = discreteness(values)
    assert found.atom == atom
    assert found.share == pytest.approx(share, abs=0.01)


def table(path, column):
    frame = pd.DataFrame({"age": column, "height": RNG.normal(size=len(column))})
    frame.to_csv(path, index=False) if path.suffix == ".csv" else frame.to_parquet(path)
    return frame


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_lattice_is_warned_about_and_dequantised_when_asked(tmp_path, suffix):
    path = tmp_path / f"t{suffix}"
    frame = table(path, RNG.integers(20, 80, 200))
    with pytest.warns(UserWarning, match=r"values of 'age' \(step 1\) lie on a lattice") as told:
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


def test_what_noise_cannot_treat_is_told(tmp_path):
    table(tmp_path / "t.csv", np.where(np.arange(400) % 2, NORMAL, 0))
    for dequantize in (False, True):
        with pytest.warns(UserWarning, match=r"value in 'age' \(0: 50.0%\).* cannot treat it"):
            open_table(tmp_path / "t.csv", dequantize=dequantize)


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
        with pytest.warns(UserWarning, match="1 rows with missing values are left out"):
            open_table(path, missing="drop")
