"""Files scored row by row: noise where training added it, nan where a value is missing."""

import numpy as np
import pandas as pd
import pytest
import torch
from run_commands import script, train

import flowbench
from flowbench.evaluation.runs import open_run

GAUSSIAN = ["model=gaussian", "logger=csv", "data=table"]


@pytest.fixture(scope="module")
def dice(tmp_path_factory):
    """Two dice and a number, trained on with noise on the dice."""
    folder = tmp_path_factory.mktemp("dice")
    rng = np.random.default_rng(0)
    numbers = {"a": rng.integers(1, 7, 4000), "b": rng.normal(size=4000)}
    pd.DataFrame(numbers | {"c": rng.integers(1, 7, 4000) / 3}).to_csv(
        folder / "rows.csv", index=False
    )
    path = folder / "rows.csv"
    run, _ = train(folder, *GAUSSIAN, f"data.path={path}", "data.dequantize=true")
    return folder, run


def scored(folder, run, path):
    script("score")([str(run), "--data", str(path), "--out", str(folder / "scores.csv")])
    return pd.read_csv(folder / "scores.csv")["log_density"].to_numpy()


def test_what_training_adds_is_part_of_scoring_a_file(dice):
    folder, run = dice
    found = scored(folder, run, folder / "rows.csv")
    opened = open_run(run)
    known = torch.cat([opened.data_space(split) for split in ("train", "val", "test")])
    assert found.mean() == pytest.approx(known.mean().item(), abs=0.01)
    rows = pd.read_csv(folder / "rows.csv").to_numpy()
    assert found.mean() > opened.density.log_prob(rows).mean() + 0.03  # at the edges of the cells
    np.testing.assert_array_equal(found, scored(folder, run, folder / "rows.csv"))


def test_values_between_lattice_points_are_scored_where_they_are(dice):
    folder, run = dice
    density = flowbench.load(run)
    samples = density.in_data_units.sample((500,)).double().numpy()
    pd.DataFrame(samples, columns=["a", "b", "c"]).to_csv(folder / "samples.csv", index=False)
    expected = density.log_prob(samples)
    found = scored(folder, run, folder / "samples.csv")
    assert np.isclose(found, expected, atol=1e-4).mean() > 0.99


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".npy"])
def test_samples_of_dice_are_dice(dice, suffix):
    folder, run = dice
    path = folder / f"samples{suffix}"
    script("sample")([str(run), "-n", "500", "--out", str(path)])
    if suffix == ".npy":
        a, b, c = np.load(path).T
    else:
        frame = pd.read_csv(path) if suffix == ".csv" else pd.read_parquet(path)
        assert [kind.kind for kind in frame.dtypes] == ["i", "f", "f"]
        a, b, c = frame.to_numpy().T
    assert set(range(1, 7)) <= set(a)
    assert not (a % 1).any()
    np.testing.assert_allclose(c * 3, np.rint(c * 3), atol=1e-9)
    assert len(set(b)) == 500


def test_a_density_saved_again_knows_its_lattices(dice):
    folder, run = dice
    flowbench.load(run).save(folder / "again.ckpt")
    assert flowbench.load(folder / "again.ckpt").lattices == flowbench.load(run).lattices
    assert set(flowbench.load(run).lattices) == {"a", "c"}


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    """Heights given the town, two of them."""
    folder = tmp_path_factory.mktemp("town")
    rng = np.random.default_rng(0)
    rows = pd.DataFrame({"h": rng.normal(size=600), "town": rng.choice(["Bern", "Rome"], 600)})
    rows.to_csv(folder / "rows.csv", index=False)
    options = [f"data.path={folder / 'rows.csv'}", "data.categorical_columns=[town]"]
    run, _ = train(folder, *GAUSSIAN, *options)
    return folder, rows, run


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_missing_label_gives_nan_for_its_row(town, suffix):
    folder, rows, run = town
    holes = rows[:5].copy()
    holes.loc[1, "town"] = holes.loc[3, "h"] = None
    path = folder / f"holes{suffix}"
    holes.to_csv(path, index=False) if suffix == ".csv" else holes.to_parquet(path)
    found, whole = scored(folder, run, path), scored(folder, run, folder / "rows.csv")
    assert np.isnan(found).tolist() == [False, True, False, True, False]
    np.testing.assert_allclose(found[[0, 2, 4]], whole[[0, 2, 4]])
    one_hot = flowbench.load(run).one_hot("town", ["Rome", None])
    torch.testing.assert_close(
        one_hot, torch.tensor([[0, 1], [torch.nan, torch.nan]]), equal_nan=True
    )


def test_an_unknown_label_is_refused_with_its_row(town):
    folder, rows, run = town
    rows.assign(town=["Bern"] * 7 + ["Paris"] * 593).to_csv(folder / "bad.csv", index=False)
    message = r"bad\.csv: row 8, column 'town' holds 'Paris', expected one of Bern, Rome"
    with pytest.raises(SystemExit, match=message):
        scored(folder, run, folder / "bad.csv")


FORMS = [  # of the file that is trained on, its options, a file to score
    ("x,g\n{x:.3f},{g}\n", [], "x,g\n0.5,1.0\n0.5,2.00\n0.5,\n"),
    (
        "x;g\n{x:.3f};{g}\n",
        ["data.separator=semicolon", "data.decimal=comma"],
        "x;g\n0,5;1\n0,5;2\n?;1\n",
    ),
]


@pytest.mark.parametrize(("text", "options", "other"), FORMS)
def test_a_file_is_scored_in_the_form_of_the_table(tmp_path, text, options, other):
    header, row = text.splitlines()
    rng = np.random.default_rng(0)
    rows = [row.format(x=rng.normal() + index % 3, g=index % 3 + 1) for index in range(400)]
    if options:
        rows = [line.replace(".", ",") for line in rows]
    (tmp_path / "t.csv").write_text("\n".join([header, *rows]) + "\n")
    data = [
        f"data.path={tmp_path / 't.csv'}",
        "data.categorical_columns=[g]",
        "data.missing=['?']",
    ]
    run, _ = train(tmp_path, *GAUSSIAN, *data, *options)
    (tmp_path / "other.csv").write_text(other)
    found = scored(tmp_path, run, tmp_path / "other.csv")
    density = flowbench.load(run)
    context = density.context({"g": ["1", 2.0]})
    np.testing.assert_allclose(found[:2], density.log_prob([[0.5], [0.5]], context), atol=1e-6)
    assert np.isnan(found[2])


WRONG = [
    ("x,g\n0.5,Bern\noops,Rome\n", "row 2, column 'x' holds 'oops', expected a finite number"),
    ("x,g\n0.5,Bern\n1,Bern,3\n", "row 2 has 3 fields, expected 2"),
    ("x,g\n0.5,7\n", "row 1, column 'g' holds '7', expected one of Bern, Rome"),
]


@pytest.mark.parametrize(("text", "message"), WRONG)
def test_a_file_with_wrong_cells_is_not_scored(town, tmp_path, text, message):
    (tmp_path / "t.csv").write_text(text.replace("x,g", "h,town"))
    with pytest.raises(SystemExit, match=message.replace("'x'", "'h'").replace("'g'", "'town'")):
        scored(tmp_path, town[2], tmp_path / "t.csv")
