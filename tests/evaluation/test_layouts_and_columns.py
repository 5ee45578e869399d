"""Whole runs on channels modelled apart, and on tables with labels: trained, loaded, used raw."""

import numpy as np
import pandas as pd
import pytest
import torch
from run_commands import script, train

import flowbench
from flowbench.evaluation.runs import open_run
from flowbench.flows import Blockwise, SharedBlocks

Image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")

SMALL = ["model.layers=1", "model.hidden_units=[8]", "logger=csv", "trainer.max_epochs=2"]


def train_small(folder, *overrides):
    return train(folder, *SMALL, *overrides)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Sixty pictures of 4 × 5 pixels of two labels, red brighter than blue."""
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    for label in ("cat", "dog"):
        (folder / "photos" / label).mkdir(parents=True)
        for index in range(30):
            pixels = np.array([150, 75, 0]) + rng.integers(0, 100, (4, 5, 3))
            picture = Image.fromarray(pixels.astype(np.uint8))
            picture.save(folder / "photos" / label / f"{index}.png")
    return folder


@pytest.mark.parametrize("layout", ["shared_channels", "separate_channels"])
@pytest.mark.parametrize("labels", [False, True])
def test_channels_are_modelled_apart(pictures, layout, labels):
    path, result = train_small(
        pictures,
        "data=images",
        f"data.path={pictures / 'photos'}",
        f"data.layout={layout}",
        f"data.label_context={str(labels).lower()}",
        "training.batch_size=16",
        "training.learning_rate=0.01",
    )
    assert result["features"] == 60
    opened = open_run(path)
    flow = opened.density.flow
    assert isinstance(flow, SharedBlocks if layout == "shared_channels" else Blockwise)
    context = torch.eye(2)[torch.arange(6) % 2] if labels else None
    x = torch.from_numpy(np.array(opened.data.raw.x["test"]))
    log_prob = opened.density.log_prob(x, context)
    expected = result["test"]["log_likelihood"]["data_space"]
    if not labels:
        assert log_prob.mean().item() == pytest.approx(expected["mean"], rel=1e-4)
    # Channels do not depend on each other: exchanging one between pictures keeps the sum.
    exchanged = x.reshape(6, 20, 3).clone()
    exchanged[..., 1] = exchanged[[2, 3, 4, 5, 0, 1], :, 1]
    other = opened.density.log_prob(exchanged.flatten(1), context)
    assert other.sum().item() == pytest.approx(log_prob.sum().item(), rel=1e-4)
    assert not torch.allclose(other, log_prob)
    out = pictures / f"{layout}{labels}.png"
    script("sample")([str(path), "-n", "9", "--out", str(out)])
    assert np.asarray(Image.open(out)).ndim == 3
    samples = opened.density.sample(200, None if context is None else context[0])
    drawn = opened.data.pictures(samples).mean((0, 1, 2))
    if layout == "separate_channels":
        assert drawn[0] > drawn[1] > drawn[2]


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    """Heights that depend on the town, and weakly on the year; and the densities given both."""
    folder = tmp_path_factory.mktemp("town")
    rng = np.random.default_rng(0)
    names = np.array(["Rome", "Oslo", "Bern"])[rng.integers(0, 3, 3000)]
    rows = pd.DataFrame(
        {
            "town": names,
            "height": 100.0 * (names == "Bern") + rng.normal(size=3000),
            "year": rng.normal(1950, 20, 3000),
            "width": rng.normal(size=3000),
        }
    )
    rows.to_csv(folder / "rows.csv", index=False)
    path, _ = train_small(
        folder,
        "data=table",
        f"data.path={folder / 'rows.csv'}",
        "data.context_columns=[year]",
        "data.categorical_columns=[town]",
        "training.batch_size=64",
        "training.learning_rate=0.01",
    )
    return folder, rows, path


def test_a_loaded_density_takes_raw_labels(town):
    _, rows, path = town
    density = flowbench.load(path)
    assert density.categories == {"town": ["Bern", "Oslo", "Rome"]}
    year = torch.tensor(rows[["year"]].to_numpy())
    context = torch.cat([year, density.one_hot("town", list(rows["town"]))], dim=-1)
    assert context.shape == (3000, density.context_features)
    x = torch.tensor(rows[["height", "width"]].to_numpy())
    right = density.log_prob(x, context).mean()
    wrong = density.log_prob(x, context[torch.randperm(3000)]).mean()
    assert right > wrong + 0.3
    with pytest.raises(ValueError, match="holds 'Paris', expected one of Bern, Oslo, Rome"):
        density.one_hot("town", ["Rome", "Paris"])
    with pytest.raises(ValueError, match="'city' is not a categorical column; known: town"):
        density.one_hot("city", ["Rome"])


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_file_with_labels_is_scored(town, suffix):
    folder, _, path = town
    # The run's own test rows, their columns in another order.
    opened = open_run(path)
    raw = opened.data.raw
    x, context = (np.asarray(part["test"][:]) for part in (raw.x, raw.context))
    names = np.array(raw.categories["town"])[context[:, 1:].argmax(1)]
    table = pd.DataFrame({"width": x[:, 1], "town": names, "height": x[:, 0]})
    table.insert(1, "year", context[:, 0])
    file = folder / f"test{suffix}"
    table.to_csv(file, index=False) if suffix == ".csv" else table.to_parquet(file)
    script("score")([str(path), "--data", str(file), "--out", str(folder / "out.csv")])
    found = pd.read_csv(folder / "out.csv")["log_density"]
    np.testing.assert_allclose(found, opened.data_space("test"), rtol=1e-5, atol=1e-5)


def test_labels_that_were_not_there_are_refused(town):
    folder, rows, path = town
    bad = folder / "bad.csv"
    command = [str(path), "--data", str(bad), "--out", str(folder / "nothing.csv")]
    rows.assign(town="Paris").to_csv(bad, index=False)
    message = "row 1, column 'town' holds 'Paris', expected one of Bern, Oslo, Rome"
    with pytest.raises(SystemExit, match=message):
        script("score")(command)
    rows.drop(columns="town").to_csv(bad, index=False)
    with pytest.raises(SystemExit, match="has no column 'town'"):
        script("score")(command)
    assert not (folder / "nothing.csv").exists()


def test_samples_are_drawn_given_the_columns_of_the_table(town, capsys):
    folder, _, path = town
    out, command = folder / "drawn.csv", script("sample")
    arguments = [str(path), "-n", "400", "--out", str(out), "--context", "year=1950"]
    means = {}
    for name in ("Bern", "Rome"):
        command([*arguments, f"town={name}"])
        drawn = pd.read_csv(out)
        assert list(drawn) == ["height", "width", "year", "town"]
        assert (set(drawn["year"]), set(drawn["town"])) == ({1950}, {name})
        means[name] = drawn["height"].mean()
    assert means["Bern"] > means["Rome"] + 10
    assert "test rows" not in capsys.readouterr().out
    command([str(path), "-n", "400", "--out", str(out)])
    assert "400 samples at the contexts of test rows, in turn" in capsys.readouterr().out
    raw, drawn = open_run(path).data.raw, pd.read_csv(out)
    known = np.resize(np.asarray(raw.context["test"][:]), (400, 4))
    np.testing.assert_allclose(drawn["year"], known[:, 0])
    assert list(drawn["town"]) == [raw.categories["town"][code] for code in known[:, 1:].argmax(1)]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--label", "Bern"], "given the columns year, town of a table.*--context"),
        (["--context", "town=Bern"], "lacks 'year'; expected values for year, town"),
        (["--context", "city=Bern"], "'city' is not a column of the context; it has year, town"),
        (["--context", "year=1950", "town=Paris"], "holds 'Paris', expected one of Bern"),
        (["--context", "year=long ago", "town=Bern"], "'year' is given 'long ago', expected a"),
        (["--context", "year=1", "year=2"], "gives 'year' twice"),
    ],
)
def test_a_wrong_context_is_told_in_one_sentence(town, arguments, sentence):
    folder, _, path = town
    with pytest.raises(SystemExit, match=sentence):
        script("sample")([str(path), "--out", str(folder / "no.csv"), *arguments])
    assert not (folder / "no.csv").exists()
