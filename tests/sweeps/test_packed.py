"""Jobs in one process: each is the run that it would be by itself."""

import csv
import os
import signal
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from hydra.core.hydra_config import HydraConfig
from pytorch_lightning.callbacks import Callback
from sweep_commands import statuses
from waiting import wait_until

from flowbench.training.engines import compiled

PACKED = "hydra/launcher=packed"


class Stop(Callback):
    """Sends a signal to the process after an epoch, once."""

    sent = False

    def __init__(self, signal):
        self.signal = signal

    def on_train_epoch_start(self, trainer, pl_module):
        if trainer.current_epoch == 2 and not Stop.sent:
            Stop.sent = True
            os.kill(os.getpid(), getattr(signal, self.signal))


class Note(Callback):
    """Notes which job Hydra says this is."""

    jobs: ClassVar = set()

    def on_train_epoch_start(self, trainer, pl_module):
        job = [word for word in HydraConfig.get().overrides.task if word.startswith("seed=")]
        Note.jobs.add((Path(trainer.default_root_dir).name, *job))


def scores(folder):
    """The rows of metrics.csv, apart from times, and the parameters."""
    with (folder / "metrics.csv").open() as file:
        rows = [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]
    return rows, torch.load(folder / "checkpoints" / "last.ckpt")["state_dict"]


def assert_same_runs(one, other, **tolerance):
    folders = sorted(path.relative_to(one) for path in one.glob("*/*/*/seed=*"))
    assert folders == sorted(path.relative_to(other) for path in other.glob("*/*/*/seed=*"))
    for folder in folders:
        (rows, state), (others, other_state) = scores(one / folder), scores(other / folder)
        if not tolerance:
            assert rows == others
            tolerance = {"rtol": 0, "atol": 0}
        assert len(rows) == len(others)
        for key, value in state.items():
            torch.testing.assert_close(other_state[key], value, **tolerance)


def test_packed_jobs_are_the_runs_that_they_would_be_alone(sweep, tmp_path):
    words = ["seed=0,1", "model.layers=1,2", "trainer.max_epochs=2", "training.noise=0.1"]
    words.append("training.engine=plain")
    packed = sweep(tmp_path / "packed", PACKED, *words)
    assert packed.returncode == 0, packed.stderr
    assert "4 jobs, packed as 2 + 2; what they print is in " in packed.stdout
    assert statuses(packed.stdout) == ["done"] * 4
    assert sweep(tmp_path / "alone", *words).returncode == 0
    assert_same_runs(tmp_path / "alone", tmp_path / "packed")
    logs = [path.read_text() for path in (tmp_path / "packed" / ".jobs").iterdir()]
    assert all(text.count("maf on toy, seed") == 2 for text in logs)
    assert len(logs) == 4


@pytest.mark.parametrize(
    ("engine", "begun", "signal"), [("plain", 1, "SIGTERM"), ("compiled", 2, "SIGUSR1")]
)
def test_a_signal_stops_all_jobs_after_saving_and_the_command_goes_on(
    sweep, tmp_path, monkeypatch, engine, begun, signal
):
    monkeypatch.setattr(compiled, "compile_step", lambda function, **_: function)
    monkeypatch.setattr(Stop, "sent", False)
    callback = f"+callbacks.stop={{_target_: test_packed.Stop, signal: {signal}}}"
    words = ["seed=0,1", "trainer.max_epochs=4", callback, f"training.engine={engine}"]
    stopped = sweep(tmp_path / "packed", PACKED, *words)
    assert f"stopped by {signal}; the same command resumes" in stopped.stderr
    assert len(list(tmp_path.glob("packed/*/*/*/*/checkpoints/last.ckpt"))) == begun
    assert not list(tmp_path.glob("packed/*/*/*/*/error.json"))
    again = sweep(tmp_path / "packed", PACKED, *words)
    assert statuses(again.stdout) == ["done"] * 2
    assert sweep(tmp_path / "alone", *words).returncode == 0
    tolerance = {} if engine == "plain" else {"rtol": 1e-3, "atol": 1e-4}
    assert_same_runs(tmp_path / "alone", tmp_path / "packed", **tolerance)
    results = [path.read_text() for path in tmp_path.glob("packed/*/*/*/*/result.json")]
    assert [f'"engine": "{engine}"' in text for text in results] == [True] * 2


def test_a_job_that_fails_is_told_and_the_others_are_done(sweep, tmp_path):
    words = ["training.learning_rate=1e30,0.001", "training.gradient_clip_norm=null"]
    done = sweep(tmp_path, PACKED, *words, "model.activation=relu,tanh")
    assert done.returncode == 1
    assert sorted(statuses(done.stdout)) == ["done", "done", "failed", "failed"]
    assert len(list(tmp_path.glob("*/*/*/*/error.json"))) == 2


def test_each_job_is_that_of_hydra_while_it_runs(sweep, tmp_path, monkeypatch):
    monkeypatch.setattr(compiled, "compile_step", lambda function, **_: function)
    words = ["seed=0,1", "training.engine=compiled", "trainer.max_epochs=2"]
    words.append("+callbacks.note._target_=test_packed.Note")
    assert sweep(tmp_path, PACKED, *words).returncode == 0
    assert Note.jobs == {("seed=0", "seed=0"), ("seed=1", "seed=1")}
    assert not HydraConfig.initialized()


def test_each_of_several_runs_at_a_time_has_its_own_wandb_run(sweep, tmp_path, monkeypatch):
    monkeypatch.setattr(compiled, "compile_step", lambda function, **_: function)
    words = ["seed=0,1", "logger=wandb", "training.engine=compiled"]
    assert sweep(tmp_path, PACKED, *words).returncode == 0
    for folder in tmp_path.glob("*/*/*/seed=*"):
        identity = (folder / "wandb" / "id").read_text()
        [record] = folder.glob("wandb/offline-run-*/*.wandb")
        assert record.stem == f"run-{identity}"
        wait_until(lambda file=record: b"val/log_likelihood" in file.read_bytes(), what=record)
