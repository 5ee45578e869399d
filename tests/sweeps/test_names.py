"""Runs of a sweep carry its name on W&B, whoever starts them; W&B can drive a sweep itself."""

import json
import subprocess
import sys

import pytest
import yaml
from sweep_commands import ENVIRONMENT, ROOT, SMALL, sweep

SWEEP_FILE = ROOT / "scripts" / "wandb_sweep.yaml"


def started(folder):
    """The record of every offline run that says what it is."""
    for file in folder.glob("**/wandb/offline-run-*/*.wandb"):
        words = [sys.executable, "-m", "wandb", "leet", "inspect", "--json", str(file)]
        done = subprocess.run(words, capture_output=True, text=True, check=True)
        records = [json.loads(line) for line in done.stdout.splitlines() if line[:1] == "{"]
        yield from (record["run"] for record in records if record["type"] == "run")


def test_jobs_of_a_launcher_are_grouped_by_the_sweep_and_named_by_what_differs(tmp_path):
    words = ["hydra/launcher=local", "hydra.launcher.jobs=2", "model.layers=1,2", "logger=wandb"]
    done = sweep(tmp_path, *words)
    assert done.returncode == 0, done.stdout + done.stderr
    runs = list(started(tmp_path))
    assert sorted(run["display_name"] for run in runs) == ["model.layers=1", "model.layers=2"]
    [group] = {run["run_group"] for run in runs}
    assert group.startswith("model.layers=1,2 data.train_rows=400 data.val_rows=100")
    for config in tmp_path.glob("*/*/*/*/config.yaml"):
        command = config.read_text().splitlines()[0]
        assert command.startswith("# flowbench run: python train.py data.train_rows=400 ")
        assert "model.layers=1,2" not in command


def test_the_command_that_a_wandb_agent_starts_runs(tmp_path):
    """With W&B's own functions: it fills in the macros as its agent does."""
    utils = pytest.importorskip("wandb.sdk.launch.sweeps.utils")
    config = utils.load_sweep_config(str(SWEEP_FILE))
    assert config == yaml.safe_load(SWEEP_FILE.read_text())
    drawn = {
        key: {"value": of["values"][0] if "values" in of else of["max"]}
        for key, of in config["parameters"].items()
    }
    macros = utils.create_sweep_command_args({"args": drawn})
    macros |= {"env": ["env"], "interpreter": [sys.executable], "program": [config["program"]]}
    words = []
    for word in utils.create_sweep_command(config["command"]):
        macro = word.removeprefix("${").removesuffix("}")
        words += macros[macro] if word.startswith("${") else [word]
    words += [word for word in SMALL if not word.startswith(("model.layers", "logger"))]
    words += [f"paths.output={tmp_path}", "logger.wandb.offline=true"]
    done = subprocess.run(
        words, cwd=ROOT, capture_output=True, text=True, env=ENVIRONMENT, check=False
    )
    assert done.returncode == 0, done.stderr
    [result] = tmp_path.glob("toy/maf/*/seed=0/result.json")
    assert config["metric"]["name"] in (result.parent / "metrics.csv").read_text()
