"""A sweep that W&B drives."""

import sys

import pytest
import yaml
from sweep_commands import ROOT, SMALL

from flowbench.run import main

SWEEP_FILE = ROOT / "scripts" / "wandb_sweep.yaml"


def test_the_command_that_a_wandb_agent_starts_runs(tmp_path, monkeypatch):
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
    assert words[:3] == ["env", sys.executable, "train.py"]
    words += [f"paths.output={tmp_path}", "logger.wandb.offline=true"]
    monkeypatch.setattr("sys.argv", words[2:])
    monkeypatch.setenv("HYDRA_FULL_ERROR", "")
    main.main()
    [result] = tmp_path.glob("toy/maf/*/seed=0/result.json")
    assert config["metric"]["name"] in (result.parent / "metrics.csv").read_text()
