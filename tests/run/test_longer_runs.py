"""A run that only trains for longer continues a finished one, and equals one long run."""

import csv
import json
import shutil

import pytest
import torch
from run_commands import train

SMALL = ["data.train_rows=1000", "data.val_rows=200", "training.batch_size=100", "figures=false"]
SMALL += ["model.layers=2", "model.hidden_units=[8]", "logger=csv"]
CURVE = "+callbacks.a={_target_: flowbench.evaluation.curves.StepCurve, every: 7}"


def outcome(path, result):
    """All that should be equal: scores, epochs, curves and the last state, without times."""
    with (path / "metrics.csv").open() as file:
        rows = [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]
    last = torch.load(path / "checkpoints" / "last.ckpt", weights_only=True)
    steps = path / "steps.csv"
    kept = [result[key] for key in ("test", "val", "epochs", "best_epoch", "steps")]
    state = {name: tensor.tolist() for name, tensor in last["state_dict"].items()}
    return kept, rows, steps.read_text() if steps.exists() else "", state, last["progress"]


@pytest.mark.parametrize(
    ("short", "long", "options"),
    [
        (["trainer.max_epochs=2"], ["trainer.max_epochs=5"], ["training.ema=0.9", CURVE]),
        (
            ["training.patience=1", "trainer.max_epochs=9"],
            ["training.patience=3", "trainer.max_epochs=9"],
            ["training.learning_rate=0.3"],
        ),
        (
            ["training.patience=1", "trainer.max_epochs=9"],
            ["training.patience=1", "trainer.max_epochs=12"],
            ["training.learning_rate=0.3", CURVE],
        ),
    ],
)
def test_the_same_bits_as_one_long_run(tmp_path, capfd, short, long, options):
    expected = outcome(*train(tmp_path / "whole", *SMALL, *options, *long))
    first, _ = train(tmp_path / "parts", *SMALL, *options, *short)
    before = {file: file.read_bytes() for file in first.rglob("*") if file.is_file()}
    capfd.readouterr()
    second, result = train(tmp_path / "parts", *SMALL, *options, *long)
    assert f"continuing {first}" in capfd.readouterr().out
    assert outcome(second, result) == expected
    last = torch.load(first / "checkpoints" / "last.ckpt", weights_only=True)
    assert result["cpu_seconds"] > last["callbacks"]["CpuTime"]["seconds"] > 0
    assert {file: file.read_bytes() for file in before} == before


@pytest.mark.parametrize(
    "change",
    ["seed=1", "model.layers=1", "data.val_rows=100", "overwrite=true", "trainer.max_epochs=1",
     "training.learning_rate=0.01", "training.schedule=cosine"],
)  # fmt: skip
def test_other_runs_start_from_the_beginning(tmp_path, capfd, change):
    train(tmp_path, *SMALL, "trainer.max_epochs=2")
    capfd.readouterr()
    train(tmp_path, *SMALL, "trainer.max_epochs=3", change)
    assert "continuing" not in capfd.readouterr().out


def test_a_schedule_that_depends_on_the_length_is_not_continued_and_told(tmp_path, capfd):
    cosine = [*SMALL, "training.schedule=cosine"]
    train(tmp_path, *cosine, "trainer.max_epochs=2")
    path, result = train(tmp_path, *cosine, "trainer.max_epochs=3")
    assert "not continued from" in capfd.readouterr().out
    whole = train(tmp_path / "whole", *cosine, "trainer.max_epochs=3")
    assert outcome(path, result) == outcome(*whole)


@pytest.mark.parametrize("damage", ["result.json", "config.yaml", "checkpoints/last.ckpt"])
def test_a_damaged_shorter_run_is_left_alone(tmp_path, damage):
    path, _ = train(tmp_path, *SMALL, "trainer.max_epochs=2")
    (path / damage).write_text("{}" if damage.endswith("json") else "[")
    if damage.endswith("ckpt"):
        (path / damage).unlink()
    assert train(tmp_path, *SMALL, "trainer.max_epochs=3")[1]["epochs"] == 3


def test_data_that_have_changed_are_not_continued(tmp_path, capfd):
    path, _ = train(tmp_path, *SMALL, "trainer.max_epochs=2")
    (path / "data.json").write_text(json.dumps({"sha256": "0" * 64}))
    capfd.readouterr()
    train(tmp_path, *SMALL, "trainer.max_epochs=3")
    assert "continuing" not in capfd.readouterr().out
    shutil.rmtree(path)
