"""Finished runs scored again, on files, drawn from, and compared, by the commands."""

import json
import math
import re

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch
from run_commands import script, train

import flowbench
from flowbench.evaluation.runs import open_run

SMALL = ["model.layers=2", "model.hidden_units=[16]", "logger=csv", "trainer.max_epochs=3"]


def train_small(folder, *overrides):
    return train(folder, *SMALL, *overrides)


@pytest.fixture(scope="module")
def table(folder):
    """A CSV of two columns to model and one of context, and the same rows without the latter."""
    rng = np.random.default_rng(0)
    c = rng.normal(size=3000)
    rows = pd.DataFrame(
        {"a": 100 + 20 * rng.normal(size=3000), "c": c, "b": c + rng.normal(size=3000)}
    )
    rows.to_csv(folder / "rows.csv", index=False)
    return folder / "rows.csv"


@pytest.fixture(scope="module")
def runs(folder, table):
    options = ["data=table", f"data.path={table}", "data.context_columns=[c]"]
    return train_small(folder, *options), train_small(folder, *options, "model.layers=1")


def test_the_same_split_gives_the_result_of_the_run(runs, folder, capsys):
    (path, result), _ = runs
    script("evaluate")([str(path), "--json", str(folder / "new" / "scores.json")])
    found = json.loads((folder / "new" / "scores.json").read_text())[str(path)]
    assert found == {key: result["test"][key] for key in found}
    out = capsys.readouterr().out
    assert f"{result['test']['log_likelihood']['model_space']['mean']:.4f} ± " in out
    assert re.search(r"least likely rows .*\(positions in the split, from 0\)", out)
    script("evaluate")([str(path), "--split", "val", "--json", str(folder / "scores.json")])
    found = json.loads((folder / "scores.json").read_text())[str(path)]
    assert found["log_likelihood"] == result["val"]["log_likelihood"]


def test_a_file_is_scored_row_by_row(runs, folder, table):
    (path, _), _ = runs
    rows = torch.from_numpy(pd.read_csv(table)[["a", "b", "c"]].to_numpy())
    direct = flowbench.load(path).log_prob(rows[:, :2], rows[:, 2:]).numpy()
    for name, read in (("out.csv", pd.read_csv), ("out.parquet", pd.read_parquet)):
        script("score")([str(path), "--data", str(table), "--out", str(folder / name)])
        found = read(folder / name)
        assert list(found) == ["log_density"]
        np.testing.assert_allclose(found["log_density"], direct, rtol=1e-5, atol=1e-5)
    script("evaluate")([str(path), "--data", str(table), "--json", str(folder / "file.json")])
    score = json.loads((folder / "file.json").read_text())[str(path)]
    assert score["data_space"]["mean"] == pytest.approx(direct.mean(), abs=1e-6)
    assert score["least_likely"][0]["row"] == direct.argmin()


def test_a_file_without_the_columns_is_refused(runs, folder, table):
    (path, _), _ = runs
    rows = pd.read_csv(table)[["a", "b", "c"]].to_numpy()
    np.save(folder / "rows.npy", rows)
    with pytest.raises(SystemExit, match="has no column 'c'"):
        script("score")(
            [str(path), "--data", str(folder / "rows.npy"), "--out", str(folder / "a.csv")]
        )


def test_rows_with_missing_values_are_counted(runs, folder, table, capsys):
    (path, _), _ = runs
    rows = pd.read_csv(table)[:5]
    rows.loc[[1, 3], "a"] = None
    rows.to_csv(folder / "holes.csv", index=False)
    out = folder / "holes_scored.csv"
    script("score")([str(path), "--data", str(folder / "holes.csv"), "--out", str(out)])
    assert "5 rows, 2 of them nan, for missing values: " in capsys.readouterr().out
    assert pd.read_csv(out)["log_density"].isna().tolist() == [False, True, False, True, False]


def test_two_runs_are_compared_row_by_row(runs, folder, capsys):
    (first, _), (second, _) = runs
    script("evaluate")([str(first), str(second), "--paired", "--json", str(folder / "p.json")])
    found = json.loads((folder / "p.json").read_text())["paired"]
    terms = []
    for path in (first, second):
        opened = open_run(path)
        raw = opened.data.raw
        x, c = (torch.from_numpy(np.asarray(part["test"][:])) for part in (raw.x, raw.context))
        terms.append(opened.density.log_prob(x.double(), c.double()).double())
    difference = (terms[0] - terms[1]).numpy()
    assert found["mean"] == pytest.approx(difference.mean(), abs=1e-5)
    error = 2 * difference.std(ddof=1) / math.sqrt(len(difference))
    assert found["two_standard_errors"] == pytest.approx(error, rel=1e-4)
    assert "row by row" in capsys.readouterr().out


def test_runs_on_other_rows_are_not_compared(runs, folder, table):
    (first, _), _ = runs
    options = ["data=table", f"data.path={table}", "data.context_columns=[c]", "seed=1"]
    other, _ = train_small(folder, *options)
    with pytest.raises(SystemExit, match="do not have the same test rows"):
        script("evaluate")([str(first), str(other), "--paired"])
    with pytest.raises(SystemExit, match="got 1"):
        script("evaluate")([str(first), "--paired"])


def test_diagnostics_of_a_run(runs, folder, capsys):
    (path, _), _ = runs
    script("evaluate")([str(path), "--diagnostics", "--json", str(folder / "d.json")])
    found = json.loads((folder / "d.json").read_text())[str(path)]["diagnostics"]
    assert abs(found["gap"]) < 0.5
    for split in ("train", "test"):
        assert found[split]["round_trip"] < 1e-4
        assert found[split]["bounded_log_scales"] == 0.0
        base = found[split]["base"]
        assert 0 < base["ks_mean"] <= base["ks_max"] < 0.2
        assert 0 < base["qq_mean"] <= base["qq_max"] < 1
    assert [part["layer"] for part in found["gradient_norms"]] == [
        "1 MaskedAutoregressive", "2 BatchNorm", "3 MaskedAutoregressive", "4 BatchNorm", "all",
    ]  # fmt: skip
    printed = capsys.readouterr().out
    assert "noise, QQ" in printed
    assert "4 BatchNorm" in printed


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".npy"])
def test_samples_are_written_in_data_units(runs, folder, suffix):
    (path, _), _ = runs
    out = folder / f"samples{suffix}"
    script("sample")([str(path), "-n", "500", "--out", str(out)])
    if suffix == ".npy":
        values = np.load(out)
    else:
        frame = pd.read_csv(out) if suffix == ".csv" else pd.read_parquet(out)
        assert list(frame) == ["a", "b", "c"]
        values = frame[["a", "b"]].to_numpy()
    assert values.shape == (500, 2)
    assert np.median(values[:, 0]) == pytest.approx(100, abs=10)


def test_pictures_are_drawn_of_a_label(folder):
    options = ["data=digits", "data.label_context=true", "training.batch_size=100"]
    path, result = train_small(folder, *options)
    assert 0 <= result["test"]["accuracy"] <= 1
    script("sample")([str(path), "-n", "4", "--label", "3", "--out", str(folder / "three.png")])
    assert (folder / "three.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(SystemExit, match="label='dog' is not one of"):
        script("sample")([str(path), "--label", "dog", "--out", str(folder / "dog.png")])


@pytest.fixture(scope="module")
def words(folder):
    """Two words of two speakers, a low and a high tone, in the layout of FSDD."""
    noise = np.random.default_rng(0).standard_normal
    for word, hertz in (("low", 300), ("high", 1200)):
        (folder / "words" / word).mkdir(parents=True)
        for speaker in ("ann", "bob"):
            for n in range(14):
                t = np.arange(2000) / 4000
                loudness = 0.2 * (1 + 0.3 * np.sin(n))
                samples = loudness * np.sin(2 * np.pi * hertz * t) + 0.02 * noise(2000)
                path = folder / "words" / word / f"{speaker}_nohash_{n}.wav"
                soundfile.write(path, samples, 4000, subtype="PCM_16")
    return folder / "words"


def test_sound_is_scored_by_clip_and_drawn_of_a_label(folder, words, capsys):
    options = ["data=fsdd", f"data.path={words}", "data.window=sequence", "data.mel=16",
               "data.context_frames=0",
               "data.label_context=true", "data.sample_rate=4000", "data.seconds=0.5",
               "model.batch_norm=false", "training.noise=0.1", "training.batch_size=64",
               "training.learning_rate=3e-3", "trainer.max_epochs=10"]  # fmt: skip
    path, result = train_small(folder, *options)
    assert result["test"]["rows_per_event"] * 20 == result["rows"]["test"]
    script("evaluate")([str(path), str(path), "--paired", "--json", str(folder / "w.json")])
    found = json.loads((folder / "w.json").read_text())
    assert found[str(path)] == result["test"]
    assert (found["paired"]["mean"], found["paired"]["n"]) == (0, 20)
    frames = result["test"]["rows_per_event"]
    printed = capsys.readouterr().out
    assert "  (20 clips; median " in printed
    assert f"first less second, clip by clip: 0.0000 ± 0.0000 nats per clip ({frames} frames)" in (
        printed
    )
    for word, hertz in (("low", 300), ("high", 1200)):
        out = folder / "drawn" / f"{word}.wav"
        script("sample")([str(path), "-n", "2", "--label", word, "--out", str(out)])
        assert {file.name for file in out.parent.glob(f"{word}*")} == {
            f"{word}_1.wav", f"{word}_2.wav",
        }  # fmt: skip
        samples, rate = soundfile.read(out.with_stem(f"{word}_2"))
        assert (len(samples), rate) == (2000, 4000)
        loudest = np.abs(np.fft.rfft(samples)).argmax() * rate / len(samples)
        assert loudest == pytest.approx(hertz, abs=150)
    one = folder / "one.wav"
    script("sample")([str(path), "-n", "1", "--label", "low", "--out", str(one)])
    assert len(soundfile.read(one)[0]) == 2000


def test_mistakes_end_in_one_sentence(runs, folder, table, capsys):
    (path, _), _ = runs
    with pytest.raises(SystemExit, match="no such checkpoint"):
        script("evaluate")([str(folder / "nowhere")])
    with pytest.raises(SystemExit, match=f"is not a run folder, but holds some: {path}"):
        script("evaluate")([str(path.parent)])
    with pytest.raises(SystemExit, match=r"extension '.txt', expected .csv or .parquet"):
        script("score")([str(path), "--data", str(table), "--out", str(folder / "a.txt")])
    with pytest.raises(SystemExit, match=r"extension '.png', expected .csv"):
        script("sample")([str(path), "--out", str(folder / "a.png")])
    with pytest.raises(SystemExit, match="is the file of --data: expected another"):
        script("score")([str(path), "--data", str(table), "--out", str(table)])
    with pytest.raises(SystemExit):
        script("sample")([str(path), "--seed", "9" * 20, "--out", str(folder / "a.csv")])
    assert "expected an integer at least 0" in capsys.readouterr().err
    for count in ("0", "-5", "many"):
        with pytest.raises(SystemExit):
            script("sample")([str(path), "-n", count, "--out", str(folder / "a.csv")])
        assert f"{count!r}: expected a whole number" in capsys.readouterr().err


def test_a_split_is_scored_only_on_the_data_of_the_training(folder):
    rows = pd.DataFrame(np.random.default_rng(0).normal(size=(60, 2)), columns=["a", "b"])
    rows.to_csv(folder / "changing.csv", index=False)
    words = ["data=table", f"data.path={folder / 'changing.csv'}", "model=gaussian"]
    path, _ = train(folder, "figures=false", "logger=none", *words)
    script("evaluate")([str(path)])
    (rows * 1000).to_csv(folder / "changing.csv", index=False)
    with pytest.raises(SystemExit, match="the data have changed since it was trained"):
        script("evaluate")([str(path)])
