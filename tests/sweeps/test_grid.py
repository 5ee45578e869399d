"""A sweep runs what is missing, and tells what became of every job."""

import json

import pytest
from hydra import compose, initialize_config_dir
from sweep_commands import ROOT, statuses, sweep

from flowbench.training.main import config_directory


@pytest.mark.parametrize("launcher", ["basic", "local"])
def test_a_failed_job_neither_stops_nor_hides_the_others(tmp_path, launcher):
    overrides = [f"hydra/launcher={launcher}", "training.batch_size=100,5000,x,50"]
    overrides += ["hydra.launcher.jobs=2"] if launcher == "local" else []
    done = sweep(tmp_path, *overrides)
    assert done.returncode == 1, done.stderr
    assert statuses(done.stdout) == ["done", "failed", "failed", "done"]
    assert "the training split has 400 rows, fewer than training.batch_size=5000" in done.stdout
    assert "training.batch_size=x: expected an integer" in done.stdout
    results = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*/*/*/*/result.json")}
    assert len(results) == 2
    [error] = tmp_path.glob("*/*/*/*/error.json")
    assert json.loads(error.read_text())["type"] == "ValueError"

    again = sweep(tmp_path, *overrides[:1], "training.batch_size=100,50,200", *overrides[2:])
    assert again.returncode == 0, again.stderr
    assert statuses(again.stdout) == ["skipped", "skipped", "done"]
    assert all(path.stat().st_mtime_ns == time for path, time in results.items())


def test_every_preset_sweeps_over_keys_of_the_model():
    for preset in (ROOT / "configs" / "sweep").glob("*.yaml"):
        with initialize_config_dir(str(config_directory()), version_base="1.3"):
            config = compose("train", [f"sweep={preset.stem}"], return_hydra_config=True)
            swept = config.hydra.sweeper.params
            assert len(swept)
            for key, values in swept.items():
                compose("train", [f"{key}={str(values).split(',')[-1]}"])
