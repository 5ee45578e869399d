"""Runs of a sweep carry its name on W&B, whoever starts them; W&B can drive a sweep itself."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from pytorch_lightning.callbacks import Callback
from sweep_commands import ENVIRONMENT, ROOT, SMALL, sweep

from flowbench.training import names

SWEEP_FILE = ROOT / "scripts" / "wandb_sweep.yaml"


class Name(Callback):
    """Writes down what a logger is told of its run."""

    def __init__(self, folder):
        unknown = {"model": {"name": "?"}, "data": {"name": "?"}, "seed": "?"}
        lines = [names.run_group(), names.run_name(unknown), names.run_command()]
        Path(folder, f"{os.getpid()}.name").write_text("\n".join(lines))


def test_jobs_of_a_launcher_are_grouped_by_the_sweep_and_named_by_what_differs(
    tmp_path, monkeypatch
):
    monkeypatch.setitem(ENVIRONMENT, "PYTHONPATH", str(Path(__file__).parent))
    told = f"+callbacks.name={{_target_: test_names.Name, folder: {tmp_path}}}"
    words = ["hydra/launcher=local", "hydra.launcher.jobs=2", "training.noise=0,0.1"]
    done = sweep(tmp_path, *words, told)
    assert done.returncode == 0, done.stdout + done.stderr
    groups, own, commands = zip(
        *(path.read_text().splitlines() for path in tmp_path.glob("*.name")), strict=True
    )
    assert set(own) == {"training.noise=0", "training.noise=0.1"}
    [group] = set(groups)
    assert group.startswith("training.noise=0,0.1 data.train_rows=400 data.val_rows=100")
    assert all(text.startswith("python train.py data.train_rows=400") for text in commands)


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
