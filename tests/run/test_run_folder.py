"""A run folder has one writer, appears finished only when it is, and keeps to its data."""

import json
import os
import subprocess
import sys

import pytest
import yaml
from hydra.errors import InstantiationException
from hydra.utils import instantiate

from flowbench.run.folder import RunFolder, RunFolderError
from flowbench.run.same_start import refuse_different_starts

COMMAND = "python train.py model=maf"


@pytest.fixture
def folder(tmp_path):
    return RunFolder(tmp_path / "toy" / "maf" / "0123abcd" / "seed=0")


def test_nothing_is_created_before_the_lock(folder, tmp_path):
    assert not folder.finished
    assert list(tmp_path.iterdir()) == []


def test_a_second_process_is_refused_at_once(folder):
    program = (
        "import sys; from flowbench.run.folder import RunFolder\n"
        "with RunFolder(sys.argv[1]).lock(): pass"
    )
    with folder.lock():
        other = subprocess.run(
            [sys.executable, "-c", program, str(folder.path)], capture_output=True, text=True
        )
    assert other.returncode == 1
    assert "another process is running this configuration and seed" in other.stderr
    with folder.lock():  # free again
        pass


def test_one_process_compares_nothing_and_so_does_not_read_a_huge_checkpoint(folder, monkeypatch):
    read = []
    monkeypatch.setattr(RunFolder, "standing", read.append)
    refuse_different_starts(folder)
    assert read == []


def test_an_error_inside_the_lock_stays_itself(folder):
    with pytest.raises(KeyError), folder.lock():
        raise KeyError("inside")


def test_the_configuration_is_plain_yaml_under_its_command(folder):
    config = {"seed": 0, "training": {"weight_decay": 1e-6, "patience": None}, "units": [100, 100]}
    with folder.lock():
        folder.write_config(config, command=COMMAND)
    assert folder.config.read_text().splitlines()[0] == f"# flowbench run: {COMMAND}"
    assert yaml.safe_load(folder.config.read_text()) == config == folder.read_config()


def test_a_result_keeps_every_digit_and_makes_the_run_finished(folder):
    result = {"test": {"mean": -3.5310000000000001, "exact": None}, "rows": [0.1 + 0.2]}
    with folder.lock():
        folder.write_result(result)
    assert folder.finished
    assert json.loads(folder.result.read_text()) == result
    assert {path.name for path in folder.path.iterdir()} == {"result.json", ".lock"}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_result_with_a_number_that_is_none_is_refused(folder, value):
    with folder.lock(), pytest.raises(RunFolderError, match=r"test\.mean\[1\]=") as caught:
        folder.write_result({"test": {"mean": [0.0, value]}})
    assert "finite numbers only" in str(caught.value)
    assert not folder.finished


def test_a_killed_write_leaves_the_earlier_result(folder, monkeypatch):
    with folder.lock():
        folder.write_result({"mean": 1.0})
        monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError("full")))
        with pytest.raises(OSError, match="full"):
            folder.write_result({"mean": 2.0})
    assert {path.name for path in folder.path.iterdir()} == {"result.json", ".lock"}
    assert json.loads(folder.result.read_text()) == {"mean": 1.0}


def test_a_failure_is_recorded_and_forgotten_at_the_next_start(folder):
    with folder.lock():
        with pytest.raises(ValueError), folder.recording(command=COMMAND):
            raise ValueError("layers=0: expected\n at least 1")
        assert json.loads(folder.error.read_text()) == {
            "error": "layers=0: expected at least 1",
            "type": "ValueError",
            "command": COMMAND,
        }
        with folder.recording(command=COMMAND):
            assert not folder.error.exists()


def test_a_failure_is_recorded_in_the_words_of_the_screen(folder):
    with folder.lock(), pytest.raises(InstantiationException), folder.recording(command=COMMAND):
        instantiate({"_target_": "flowbench.MAF", "features": 2, "hidden_units": [0]})
    recorded = json.loads(folder.error.read_text())
    assert recorded["type"] == "ValueError"
    assert recorded["error"].startswith("hidden_units=[0]")


def test_a_failure_before_anything_was_trained_leaves_nothing_unless_a_sweep_tells_of_it(folder):
    def fails(*, begun, always):
        folder.begun = begun
        recording = folder.recording(command=COMMAND, always=always)
        with pytest.raises(OSError), folder.lock(), recording:
            folder.write_config((folder.path / "nowhere").stat(), command=COMMAND)
        return folder.error.exists()

    assert not fails(begun=False, always=False)
    assert not folder.path.parent.exists()
    assert fails(begun=False, always=True)
    assert fails(begun=False, always=False), "what an earlier attempt has left stays"
    folder.error.unlink()
    assert fails(begun=True, always=False)


def test_an_interruption_is_no_failure(folder):
    with folder.lock():
        with pytest.raises(KeyboardInterrupt), folder.recording(command=COMMAND):
            raise KeyboardInterrupt
        assert not folder.error.exists()


def test_changed_data_are_refused(folder):
    with folder.lock():
        folder.record_data("a" * 64)
        folder.record_data("a" * 64)
        with pytest.raises(RunFolderError, match=r"data have changed .*overwrite=true"):
            folder.record_data("b" * 64)


@pytest.fixture
def earlier(folder, tmp_path):
    """A folder with a run in it, and a link to another place."""
    with folder.lock():
        folder.write_config({"seed": 0}, command=COMMAND)
        folder.last.parent.mkdir()
        folder.last.write_bytes(b"checkpoint")
        (folder.path / "link").symlink_to(tmp_path)
        folder.error.write_text("{}")
        folder.result.write_text("{}")
    return {path.name for path in folder.path.iterdir()}


def overwrite(folder, *, begin, fail=None):
    with folder.lock(), folder.recording(command=COMMAND, always=False, overwrite=True):
        folder.refuse_other_files()
        folder.set_aside()
        assert not folder.finished
        folder.write_config({"seed": 1}, command=COMMAND)
        (folder.path / "wandb").mkdir()
        if begin:
            folder.begin()
        if fail:
            raise fail


def test_overwrite_deletes_an_earlier_run(folder, earlier, tmp_path):
    kept = tmp_path / "kept.txt"
    kept.write_text("mine")
    overwrite(folder, begin=True)
    assert {path.name for path in folder.path.iterdir()} == {".lock", "config.yaml", "wandb"}
    assert kept.read_text() == "mine"


@pytest.mark.parametrize("fault", [ValueError("no data"), KeyboardInterrupt(), SystemExit(1)])
def test_an_earlier_run_stays_where_the_new_one_does_not_begin(folder, earlier, fault):
    with pytest.raises(type(fault)):
        overwrite(folder, begin=False, fail=fault)
    assert {path.name for path in folder.path.iterdir()} == earlier
    assert folder.read_config() == {"seed": 0}
    assert folder.last.read_bytes() == b"checkpoint"
    assert folder.error.read_text() == "{}"


@pytest.mark.parametrize("calls", range(9))
def test_an_earlier_run_comes_back_whenever_the_process_is_killed(
    folder, earlier, calls, monkeypatch
):
    """Killed at the n-th rename: nothing is cleaned up, and the next process opens the folder."""
    rename, left = os.replace, [calls]

    def dies(*paths):
        left[0] -= 1
        if left[0] < 0:
            raise SystemExit
        rename(*paths)

    monkeypatch.setattr(os, "replace", dies)
    with pytest.raises(SystemExit):
        overwrite(folder, begin=False, fail=SystemExit())
    monkeypatch.undo()
    with folder.lock():
        assert {path.name for path in folder.path.iterdir()} == earlier
        assert folder.read_config() == {"seed": 0}


@pytest.mark.parametrize("name", ["thesis.tex", "config.yaml"])
def test_overwrite_deletes_nothing_else(folder, name):
    with folder.lock():
        (folder.path / name).write_text("title: my thesis")
        with pytest.raises(RunFolderError, match=r"no config\.yaml of a run"):
            folder.refuse_other_files()
        assert (folder.path / name).read_text() == "title: my thesis"


def test_an_error_is_not_hidden_by_that_of_its_record(folder, monkeypatch, capsys):
    def full(path, text):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr("flowbench.run.folder.write_text", full)
    recording = folder.recording(command=COMMAND)
    with pytest.raises(ValueError, match="the first"), folder.lock(), recording:
        raise ValueError("the first")
    assert "error.json: No space left" in capsys.readouterr().err
