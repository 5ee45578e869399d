"""Whole runs on small real data: what they leave behind, and what becomes of interrupted ones."""

import csv
import json
import logging
import resource
import shutil

import numpy as np
import pytest
import torch
import yaml
from run_commands import composed, train

import flowbench
from flowbench.checkpoint import CheckpointError
from flowbench.config.configuration import ConfigError
from flowbench.data import DataError
from flowbench.from_config import build_data
from flowbench.run.folder import RunFolderError
from flowbench.training.maximum_likelihood import NonFiniteError

SMALL = [
    "data.train_rows=3000",
    "data.val_rows=500",
    "model.layers=2",
    "model.hidden_units=[16]",
    "training.batch_size=100",
    "logger=csv",
    "figures=false",
]
RESULT_KEYS = (
    "data model seed hash status command features context_features parameters rows test val "
    "test_rows_sha256 knows_lattice measure "
    "calibration published deviations steps best_epoch epochs seconds cpu_seconds "
    "samples_per_second engine peak_memory_bytes device threads versions git"
).split()


@pytest.fixture
def start(tmp_path):
    """Compose, check and run, with everything in a temporary folder."""

    def start(*overrides):
        return train(tmp_path, *overrides)[1]

    return start


def folder_of(tmp_path):
    [config] = tmp_path.glob("outputs/*/*/*/seed=*/config.yaml")
    return config.parent


def without_times(folder):
    result = json.loads((folder / "result.json").read_text())
    with (folder / "metrics.csv").open() as file:
        rows = [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]
    kept = ("test", "val", "best_epoch", "epochs", "parameters", "hash")
    return {key: result[key] for key in kept}, rows


def test_a_run_leaves_its_folder_and_the_same_command_returns_it(start, tmp_path, capsys):
    level = logging.getLogger("pytorch_lightning").level
    result = start(*SMALL, "trainer.max_epochs=3", "figures=true")
    assert logging.getLogger("pytorch_lightning").level == level
    assert set(result) == set(RESULT_KEYS)
    assert result["rows"] == {"train": 3000, "val": 500, "test": 100_000}
    assert result["epochs"] == 3
    assert result["cpu_seconds"] > 0
    score = result["test"]["log_likelihood"]["model_space"]
    assert -5 < score["mean"] < -3.4
    assert score["n"] == 100_000
    assert result["test"]["exact"] == pytest.approx(-3.531, abs=5e-4)
    folder = folder_of(tmp_path)
    assert f"seed={result['seed']}" == folder.name
    assert folder.parent.name == result["hash"]
    for name in ("checkpoints/best.ckpt", "checkpoints/last.ckpt", "figures/density.png",
                 "figures/learning_curve.png", "metrics.csv", "data.json"):  # fmt: skip
        assert (folder / name).stat().st_size > 0
    assert yaml.safe_load((folder / "config.yaml").read_text())["model"]["layers"] == 2
    terms = np.load(folder / "test_scores.npy")
    mean = result["test"]["log_likelihood"]["data_space"]["mean"]
    assert (terms.shape, terms.mean()) == ((100_000,), pytest.approx(mean))
    assert not result["knows_lattice"]

    capsys.readouterr()
    before = (folder / "metrics.csv").stat().st_mtime_ns
    assert start(*SMALL, "trainer.max_epochs=3") == result
    assert "finished" in capsys.readouterr().out
    assert (folder / "metrics.csv").stat().st_mtime_ns == before


def test_a_run_tells_its_own_memory_not_that_of_an_earlier_one(start):
    torch.ones(250_000_000)  # for a moment, one gigabyte
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    peak = start(*SMALL, "trainer.max_epochs=1")["peak_memory_bytes"]
    assert before > 1e9
    assert peak is None or 5e7 < peak < before - 2e8


def test_load_gives_the_density_in_data_units(start, tmp_path):
    rows = np.random.default_rng(0).normal([100.0, -3.0, 0.0], [20.0, 0.1, 1.0], (2000, 3))
    rows[:, 0] += 40 * rows[:, 2]
    path = tmp_path / "rows.csv"
    np.savetxt(path, rows, delimiter=",", header="a,b,c", comments="")
    result = start(
        "data=table", f"data.path={path}", "data.context_columns=[c]", "model.layers=2",
        "model.hidden_units=[16]", "logger=csv", "trainer.max_epochs=20", "training.batch_size=50",
        "training.learning_rate=5e-3",
    )  # fmt: skip
    assert (result["features"], result["context_features"]) == (2, 1)
    density = flowbench.load(folder_of(tmp_path))
    x, c = torch.from_numpy(rows[:, :2]), torch.from_numpy(rows[:, 2:])
    log_prob = density.log_prob(x, c)
    assert log_prob.shape == (2000,)
    scored = result["test"]["log_likelihood"]["data_space"]
    assert log_prob.mean().item() == pytest.approx(scored["mean"], abs=0.3)
    samples = density.sample(500, torch.tensor([[2.0]]))
    assert samples.shape == (500, 1, 2)
    assert samples[..., 0].median().item() == pytest.approx(180, abs=10)
    assert samples[..., 1].median().item() == pytest.approx(-3, abs=0.05)


def test_gaussian_is_fitted_in_closed_form(start, tmp_path):
    rows = np.random.default_rng(0).normal(size=(5000, 2)) @ np.array([[2.0, 1.0], [0.0, 0.5]])
    np.save(tmp_path / "rows.npy", rows)
    result = start(
        "data=table", f"data.path={tmp_path / 'rows.npy'}", "model=gaussian", "logger=csv",
        "figures=[pairs]",
    )  # fmt: skip
    assert [path.name for path in (folder_of(tmp_path) / "figures").iterdir()] == ["pairs.png"]
    entropy = np.log(2 * np.pi * np.e) + np.log(2.0 * 0.5)
    mean = result["test"]["log_likelihood"]["data_space"]["mean"]
    assert mean == pytest.approx(-entropy, abs=0.15)
    assert result["epochs"] == 0


def test_batch_norm_is_evaluated_with_the_statistics_of_all_training_rows(start, tmp_path):
    start(*SMALL, "trainer.max_epochs=1")
    density = flowbench.load(folder_of(tmp_path))
    data = build_data(composed(*SMALL).data)
    data.setup()
    layers = list(density.flow.transform.transforms)[::-1]
    with torch.no_grad():
        x, _ = layers[0].inverse(data.rows["train"].x)
    torch.testing.assert_close(layers[1].mean, x.mean(0), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(layers[1].variance, x.var(0, correction=0), atol=1e-4, rtol=1e-4)


def test_patience_ends_a_run_and_the_best_epoch_is_scored(start, tmp_path):
    result = start(
        *SMALL, "trainer.max_epochs=60", "training.patience=2", "training.learning_rate=0.05"
    )
    _, rows = without_times(folder_of(tmp_path))
    values = [float(row["val/log_likelihood"]) for row in rows]
    assert result["epochs"] < 60
    assert result["best_epoch"] == int(np.argmax(values)) == result["epochs"] - 3
    best = result["val"]["log_likelihood"]["model_space"]["mean"]
    assert best == pytest.approx(max(values), abs=1e-5)


def test_overwrite_starts_over(start, tmp_path):
    start(*SMALL, "trainer.max_epochs=1")
    stale = folder_of(tmp_path) / "checkpoints" / "stale.ckpt"
    stale.write_text("old")
    start(*SMALL, "trainer.max_epochs=1", "overwrite=true")
    assert not stale.exists()


def test_reusing_a_run_whose_data_changed_is_refused(start, tmp_path):
    path = tmp_path / "rows.npy"
    rows = np.random.default_rng(0).normal(size=(1000, 2))
    np.save(path, rows)
    overrides = ["data=table", f"data.path={path}", "logger=csv", "trainer.max_epochs=1",
                 "model.layers=1", "model.hidden_units=[4]"]  # fmt: skip
    result = start(*overrides)
    np.save(path, rows + 1)
    with pytest.raises(RunFolderError, match="the data have changed"):
        start(*overrides)
    (folder_of(tmp_path) / "result.json").unlink()
    with pytest.raises(RunFolderError, match="the data have changed"):
        start(*overrides)
    path.unlink()
    shutil.rmtree(tmp_path / "cache")
    (folder_of(tmp_path) / "result.json").write_text(json.dumps(result))
    assert start(*overrides) == result


MISTAKES = {
    "diverges": (
        [*SMALL, "training.learning_rate=1e4", "training.gradient_clip_norm=null",
         "model.batch_norm=false", "model.log_scale_bound=null"],
        NonFiniteError, r"step \d+: .*first in layer \d of 2 from the data",
    ),
    "no time": (
        [*SMALL, "trainer.max_time=00:00:00:00"], TimeoutError, "ended before the first epoch",
    ),
    "wrong type": ([*SMALL, "model.hidden_units=abc"], ConfigError, "model.hidden_units=abc"),
    "unknown figure": ([*SMALL, "figures=[density,pair]"], ValueError, "did you mean pairs?"),
    "missing file": (
        ["data=table", "data.path=nowhere.csv", "logger=csv"], DataError, "nowhere.csv",
    ),
    "missing start": (
        [*SMALL, "logger=wandb", "init_from=nowhere.ckpt"], CheckpointError, "nowhere.ckpt",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_end_in_one_sentence_and_no_result(start, tmp_path, name):
    overrides, kind, sentence = MISTAKES[name]
    with pytest.raises(kind, match=sentence) as caught:
        start(*overrides)
    assert len(str(caught.value).splitlines()) == 1
    assert not list(tmp_path.glob("outputs/**/result.json"))
    errors = [json.loads(e.read_text())["error"] for e in tmp_path.glob("outputs/**/error.json")]
    assert errors == ([str(caught.value)] if name in ("diverges", "no time") else [])
    assert errors or not list(tmp_path.glob("outputs/*"))  # nothing was trained, nothing is left
