"""A sweep runs what is missing, and tells what became of every job."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir

from flowbench.training.main import config_directory

ROOT = Path(__file__).parents[2]
SMALL = [
    "data.train_rows=400",
    "data.val_rows=100",
    "model.layers=1",
    "model.hidden_units=[4]",
    "training.batch_size=100",
    "trainer=cpu",
    "trainer.max_epochs=1",
    "logger=csv",
]


def sweep(output, *overrides):
    words = ["-m", *SMALL, f"paths.output={output}", *overrides]
    return subprocess.run(
        [sys.executable, str(ROOT / "train.py"), *words],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=False,
    )


def table(done):
    rows = [line.split() for line in done.stdout.splitlines()]
    return [row for row in rows if row and row[0] in ("done", "failed", "skipped")]


@pytest.mark.parametrize("launcher", ["basic", "local"])
def test_a_failed_job_neither_stops_nor_hides_the_others(tmp_path, launcher):
    overrides = [f"hydra/launcher={launcher}", "training.batch_size=100,5000,x,50"]
    overrides += ["hydra.launcher.jobs=2"] if launcher == "local" else []
    done = sweep(tmp_path, *overrides)
    assert done.returncode == 1, done.stderr
    assert [row[0] for row in table(done)] == ["done", "failed", "failed", "done"]
    assert "the training split has 400 rows, fewer than training.batch_size=5000" in done.stdout
    assert "training.batch_size=x: expected an integer" in done.stdout
    results = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*/*/*/*/result.json")}
    assert len(results) == 2
    [error] = tmp_path.glob("*/*/*/*/error.json")
    assert json.loads(error.read_text())["type"] == "ValueError"

    again = sweep(tmp_path, *overrides[:1], "training.batch_size=100,50,200", *overrides[2:])
    assert again.returncode == 0, again.stderr
    assert [row[0] for row in table(again)] == ["skipped", "skipped", "done"]
    assert all(path.stat().st_mtime_ns == time for path, time in results.items())


def test_every_preset_sweeps_over_keys_of_the_model():
    for preset in (ROOT / "configs" / "sweep").glob("*.yaml"):
        with initialize_config_dir(str(config_directory()), version_base="1.3"):
            config = compose("train", [f"sweep={preset.stem}"], return_hydra_config=True)
            swept = config.hydra.sweeper.params
            assert len(swept)
            for key, values in swept.items():
                compose("train", [f"{key}={str(values).split(',')[-1]}"])
