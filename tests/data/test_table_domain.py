"""Columns of a table that are confined (bounds, circles), or that other columns determine."""

import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from tables import open_table

import flowbench
from flowbench.data import DataError, Table
from flowbench.data.dependence import dependent_columns
from flowbench.from_config import build_flow

ROWS = 300
RNG = np.random.default_rng(0)
CELSIUS = RNG.normal(15, 8, ROWS)
FREE = RNG.normal(size=ROWS)
PARTS = RNG.dirichlet([1, 2, 3], ROWS)
CITY = np.arange(ROWS) % 3
SIX = RNG.normal(size=(6, ROWS))

DEPENDENT = {
    "a constant": ({"a": FREE, "b": np.full(ROWS, 2.5)}, "'b' is constant (2.5)", "b"),
    "a copy": ({"a": FREE, "b": FREE}, "'b' repeats 'a'", "b"),
    "units": ({"c": CELSIUS, "f": 32 + 1.8 * CELSIUS}, "'f' = 32 + 1.8 · 'c'", "f"),
    "float32": (
        {"c": CELSIUS, "f": np.float32(32 + 1.8 * CELSIUS).astype(float)},
        "'f' = 32 + 1.8 · 'c'",
        "f",
    ),
    "opposite": ({"a": FREE, "x": CELSIUS, "b": -2 * FREE}, "'b' = − 2 · 'a'", "b"),
    "shares": (dict(zip("abc", PARTS.T, strict=True)), "'a' + 'b' + 'c' is constant (1)", "c"),
    "many": (
        {f"x{i}": x for i, x in enumerate(SIX)} | {"sum": SIX.sum(0)},
        "'sum' is a linear combination of 6 columns ('x0', 'x1', 'x2', 'x3', …)",
        "sum",
    ),
}
ALL = pytest.mark.parametrize(("columns", "sentence", "name"), DEPENDENT.values(), ids=DEPENDENT)


def table(tmp_path, columns, *, suffix=".csv"):
    frame, path = pd.DataFrame(columns), tmp_path / f"t{suffix}"
    match suffix:
        case ".csv":
            frame.to_csv(path, index=False)
        case ".npy":
            np.save(path, frame.to_numpy())
        case ".npz":
            np.savez(path, x=frame.to_numpy().astype(np.float32))
    return path


@ALL
def test_columns_that_others_determine_are_named_with_ways_out(tmp_path, columns, sentence, name):
    path = table(tmp_path, columns)
    with pytest.raises(DataError) as error:
        open_table(path)
    kept = ",".join(other for other in columns if other != name)
    way = f"data.drop_dependent=true or data.columns=[{kept}] leaves out {name}"
    assert sentence in str(error.value)
    assert str(error.value).endswith(way)
    with pytest.warns(UserWarning, match=f"left out are {name}, since"):
        data = open_table(path, drop_dependent=True)
    assert data.raw.feature_names == kept.split(",")
    assert data.features == len(columns) - 1
    open_table(path, columns=kept.split(","))


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_columns_of_arrays_are_named_by_number(tmp_path, suffix):
    path = table(tmp_path, DEPENDENT["units"][0], suffix=suffix)
    with pytest.raises(DataError, match=r"'1' = 32 \+ 1.8 · '0'.*data.columns=\[0\]"):
        open_table(path)


def test_what_contexts_determine_is_found_and_what_is_among_contexts_is_harmless(tmp_path):
    columns = {"x": FREE, "c": CELSIUS, "f": 32 + 1.8 * CELSIUS}
    path = table(tmp_path, columns)
    data = open_table(path, columns=["x"], context_columns=["c", "f"])
    assert data.context_features == 2
    with pytest.raises(DataError, match=r"'f' = 32 \+ 1.8 · 'c'"):
        open_table(path, columns=["x", "f"], context_columns=["c"])


def test_dependence_is_looked_for_in_logarithms_too(tmp_path):
    up = np.exp(FREE)
    path = table(tmp_path, {"a": up, "b": 3 / up, "c": CELSIUS})
    open_table(path)
    with pytest.raises(DataError, match="'a' \\+ 'b' is constant"):
        open_table(path, log_columns=["a", "b"])


def test_rounded_shares_are_told_and_noise_frees_them(tmp_path):
    path = table(tmp_path, dict(zip("abc", PARTS.round(4).T, strict=True)))
    with pytest.warns(UserWarning, match=r"almost dependent.*'a' \+ 'b' \+ 'c' is constant \(1\)"):
        open_table(path)


def test_near_and_few_rows_and_values_of_0_and_1_are_no_dependence(tmp_path):
    near = np.stack([FREE, FREE + 0.02 * CELSIUS], axis=1)
    assert dependent_columns(near, "ab") == []
    assert dependent_columns(near[:2], "ab") == []
    times = 1.6e9 + np.stack([FREE, FREE + CELSIUS], axis=1)
    assert dependent_columns(times, "ab") == []
    bits = pd.DataFrame({"a": CITY == 0, "b": CITY == 1, "c": CITY == 2}).astype(float)
    path = table(tmp_path, bits)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert open_table(path, standardize=False).features == 3


def test_a_density_between_bounds_is_exact_in_data_units(tmp_path):
    share, price = PARTS[:, 0], np.exp(FREE)
    path = table(
        tmp_path, {"share": share, "price": price, "loss": -np.exp(CELSIUS / 9), "x": PARTS[:, 1]}
    )
    bounds = {"share": [0, 1], "price": [0, None], "loss": [None, 0]}
    data = open_table(path, bounds=bounds)
    x = torch.from_numpy(np.array(data.raw.x["train"][:20]))
    u, log_det = data.preprocess.inverse(x)
    back, other = data.preprocess(u)
    torch.testing.assert_close(back, x)
    torch.testing.assert_close(other, -log_det)
    for row, term in zip(x[:3], log_det, strict=False):
        jacobian = torch.autograd.functional.jacobian(lambda v: data.preprocess.inverse(v)[0], row)
        torch.testing.assert_close(torch.linalg.slogdet(jacobian)[1], term)
    for dtype in (torch.float32, torch.float64):
        u = torch.tensor([[9e9], [-9e9], [60.0], [-60.0]], dtype=dtype)
        far, _ = data.preprocess(u.expand(4, 4))
        low, high = torch.tensor([0.0, 0.0]), torch.tensor([1.0, torch.inf])
        assert ((far[:, :2] > low) & (far[:, :2] <= high)).all()
        assert (far[:, 0] < 1).all()
        assert (far[:, 2] < 0).all()
    outside = torch.tensor([[0.0, 1, -1, 0], [1.5, 1, -1, 0], [0.5, 0, -1, 0], [0.5, 1, 0.5, 0]])
    assert (data.preprocess.inverse(outside.double())[1] == -torch.inf).all()


CONFINED = {
    "beyond": (
        {"bounds": {"a": [0, 0.89]}},
        r"outside of data.bounds={a: \[0, 0.89\]} in 1 row, such as",
    ),
    "on a bound": (
        {"bounds": {"a": [0.25, 1]}},
        r"exactly at a bound in 1 row, such as 0.25.*"
        r"data.bounds={a: \[0.2[0-9]*, ",
    ),
    "no numbers": ({"bounds": {"a": [1, 0]}}, r"data.bounds={a: \[1, 0\]}: expected a lower and"),
    "one number": ({"bounds": {"a": [1]}}, r"data.bounds={a: \[1\]}: expected a lower and"),
    "no bounds": ({"bounds": {"a": [None, None]}}, r"a: \[null, null\]}: expected a lower"),
    "no column": ({"bounds": {"aa": [0, 1]}}, "data.bounds: 'aa' is not among .* did you mean"),
    "twice": ({"bounds": {"a": [0, 1]}, "log_columns": ["a"]}, "data.log_columns and data.bounds"),
    "no period": ({"circular_columns": {"a": 0}}, "data.circular_columns: {a: 0} gives no"),
    "no colon": ({"circular_columns": ["a"]}, "data.circular_columns: a gives no column"),
    "a context": ({"circular_columns": {"b": 24}, "context_columns": ["b"]}, "'b' is a context"),
}


@pytest.mark.parametrize(("options", "sentence"), CONFINED.values(), ids=CONFINED)
def test_mistakes_with_bounds_and_circles_are_one_sentence(tmp_path, options, sentence):
    a = np.r_[0.25, np.linspace(0.26, 0.9, 40)]
    path = table(tmp_path, {"a": a, "b": FREE[:41]})
    with pytest.raises(DataError, match=sentence):
        open_table(path, **options)


@pytest.mark.parametrize("given", [{"hour": 24}, [{"hour": 24}], ["hour: 24"]])
def test_a_circular_column_becomes_an_angle(tmp_path, given):
    hour = np.mod(23 + 2 * FREE, 24)
    data = open_table(table(tmp_path, {"x": CELSIUS, "hour": hour}), circular_columns=given)
    u = data.rows["train"].x
    assert data.sizes["circular"] == [1]
    assert u[:, 1].abs().max() <= torch.pi
    assert u[:, 0].mean().abs() < 1e-5
    x = torch.tensor([[10.0, 3.0], [10.0, 27.0], [10.0, -21.0]]).double()
    angle, log_det = data.preprocess.inverse(x)
    torch.testing.assert_close(angle[1:], angle[:1].expand(2, -1))
    std = data.preprocess.transforms[0].scale[0]
    torch.testing.assert_close(log_det[0], (2 * torch.pi / 24 / std).log())
    for dtype in (torch.float32, torch.float64):
        ends = torch.tensor([-torch.pi, torch.pi, -1e-9, 3 * torch.pi, 7.0], dtype=dtype)
        back, _ = data.preprocess(torch.stack([ends * 0, ends], -1))
        assert ((back[:, 1] >= 0) & (back[:, 1] < 24)).all()


@pytest.mark.parametrize("model", ["gaussian.Gaussian", "made.MADE", "nice.NICE"])
def test_a_model_without_circular_splines_is_refused(model):
    with pytest.raises(ValueError, match=r"takes no circular features.*=maf, iaf or realnvp"):
        build_flow(
            {"_target_": f"flowbench.flows.{model}"}, features=2, context_features=0, circular=[1]
        )


NOTICED = {
    "share": (PARTS[:, 0] ** 0.3, None),
    "share at both ends": (RNG.beta(0.4, 0.4, ROWS), "data.bounds={v: [0, 1]}"),
    "hour": (RNG.uniform(0, 24, ROWS), "data.circular_columns={v: 24}"),
    "degrees": (RNG.uniform(0, 360, ROWS), "data.circular_columns={v: 360}"),
    "radians": (RNG.uniform(0, 2 * np.pi, ROWS), "data.circular_columns={v: 6.28"),
    "percent": (RNG.uniform(0, 100, ROWS), None),
    "a bump in a day": (RNG.normal(12, 2, ROWS), None),
    "yes or no": ((CITY == 0) * 1.0, None),
}


@pytest.mark.parametrize(("values", "advice"), NOTICED.values(), ids=NOTICED)
def test_a_column_that_looks_confined_is_told(tmp_path, values, advice):
    path = table(tmp_path, {"v": values, "x": FREE})
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        open_table(path)
    told = [str(one.message) for one in caught if "fill [0" in str(one.message)]
    assert len(told) == (advice is not None)
    assert advice is None or advice in told[0]


def test_a_fit_of_angles_leaves_them_in_radians_and_saves_them(tmp_path):
    x = np.stack([CELSIUS, np.mod(FREE, 2 * np.pi)], axis=1)
    flow = flowbench.MAF(2, circular=[1], layers=1, hidden_units=[8])
    density = flowbench.fit(flow, x, max_epochs=2)
    points = torch.tensor([[15.0, 1.0], [15.0, 1.0 + 2 * torch.pi]])
    first, second = density.log_prob(points)
    assert first.item() == pytest.approx(second.item(), abs=1e-4)
    density.save(tmp_path / "d.ckpt")
    again = flowbench.load(tmp_path / "d.ckpt")
    torch.testing.assert_close(again.log_prob(points), density.log_prob(points))


def test_options_of_other_tables_are_unchanged(tmp_path):
    data = Table(path=table(tmp_path, {"a": FREE, "x": CELSIUS}), cache_dir=tmp_path / "cache")
    data.setup()
    assert "circular" not in data.sizes
    assert [step["name"] for step in data.raw.preprocess] == ["Standardize"]
