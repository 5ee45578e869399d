"""Whenever a run is stopped or killed, the same command ends with the same numbers."""

import csv
import json
import os
import random
import signal
import time

import forked
import pytest
import torch
from hydra import compose, initialize_config_dir
from waiting import wait_until

from flowbench.config.configuration import check
from flowbench.exits import SAVED
from flowbench.run.identity import run_directory
from flowbench.run.main import config_directory

SMALL = [
    "data.train_rows=16000",
    "data.val_rows=500",
    "model.layers=1",
    "model.hidden_units=[16]",
    "model.dropout=0.1",
    "training.batch_size=50",
    "trainer=cpu",
    "trainer.max_epochs=3",
    "logger=csv",
    "figures=false",
    "save_minutes=0.0001",
]
ITEMS = 5  # of an epoch: 320 steps by 64


def train(output, overrides):
    """The command, without starting an interpreter."""
    from flowbench.run.run import run

    with initialize_config_dir(str(config_directory()), version_base="1.3"):
        config = compose("train", [f"paths.output={output}", *overrides])
    run(check(config), run_directory(config))


def train_until_validation(output, overrides):
    """The command, killed between the last item of an epoch and its end."""
    from flowbench.training.maximum_likelihood import MaximumLikelihood

    MaximumLikelihood.on_validation_start = lambda _: os.kill(os.getpid(), signal.SIGKILL)
    train(output, overrides)


def start(output, *overrides, target=train):
    return forked.fork(target, output, [*SMALL, *overrides])


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    output = tmp_path_factory.mktemp("undisturbed")
    process = start(output)
    process.join()
    assert process.exitcode == 0
    return numbers(output)


def folder_of(output):
    [config] = output.glob("*/*/*/seed=*/config.yaml")
    return config.parent


def numbers(output):
    """All that a run reports, less what the clock says."""
    folder = folder_of(output)
    result = json.loads((folder / "result.json").read_text())
    with (folder / "metrics.csv").open() as file:
        rows = [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]
    kept = ("test", "val", "best_epoch", "epochs", "parameters", "hash")
    return {key: result[key] for key in kept}, rows


def progress(output):
    """What the checkpoint says, which is readable whenever there is one."""
    try:
        last = folder_of(output) / "checkpoints" / "last.ckpt"
    except ValueError:
        return None
    if not last.exists():
        return None
    return torch.load(last, weights_only=True)["progress"]


def wait_for(condition, *, process):
    """Whether a condition has come to hold before a process ended."""
    return (
        wait_until(
            lambda: condition() or (process.exitcode is not None and "ended"),
            what="a checkpoint of the run, or its end",
            pause=0.002,
        )
        != "ended"
    )


def train_killed_in_mid_epoch(output, *overrides, then=()):
    """Kill it within the second epoch, complete it, and tell where it stood.

    Args:
        then: overrides of the command that completes it.
    """
    process = start(output, *overrides)

    def within_the_second_epoch():
        found = progress(output)
        return found and found["position"]["epoch"] >= 1 and 0 < found["position"]["item"] < ITEMS

    assert wait_for(within_the_second_epoch, process=process)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    position = progress(output)["position"]
    again = start(output, *overrides, *then)
    again.join()
    assert again.exitcode == 0
    return position


def test_killed_in_mid_epoch(undisturbed, tmp_path):
    position = train_killed_in_mid_epoch(tmp_path)
    assert numbers(tmp_path) == undisturbed, position


def test_killed_with_a_moving_average_a_schedule_and_noise(tmp_path):
    overrides = ["training.ema=0.99", "training.schedule=cosine", "training.noise=0.1"]
    whole = start(tmp_path / "whole", *overrides)
    position = train_killed_in_mid_epoch(tmp_path / "killed", *overrides)
    whole.join()
    assert numbers(tmp_path / "killed") == numbers(tmp_path / "whole"), position


def test_killed_under_the_native_engine_which_then_goes_on(tmp_path):
    overrides = ["model.dropout=0", "training.engine=native", "training.ema=0.99"]
    whole = start(tmp_path / "whole", *overrides)
    killed = tmp_path / "killed"
    position = train_killed_in_mid_epoch(killed, *overrides, then=["training.engine=plain"])
    whole.join()
    assert numbers(killed) == numbers(tmp_path / "whole"), position
    assert json.loads((folder_of(killed) / "result.json").read_text())["engine"] == "native"


def test_killed_between_the_last_item_of_an_epoch_and_its_end(undisturbed, tmp_path):
    process = start(tmp_path, target=train_until_validation)
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert progress(tmp_path)["position"] == {"epoch": 0, "item": ITEMS}
    again = start(tmp_path)
    again.join()
    assert numbers(tmp_path) == undisturbed


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_told_to_stop_it_saves_at_the_next_item_and_says_so(undisturbed, tmp_path, signum):
    words = [*SMALL, "save_minutes=1000", f"paths.output={tmp_path}"]
    process = forked.command(tmp_path / "told", *words)
    assert wait_for(lambda: progress(tmp_path), process=process)
    os.kill(process.pid, signum)
    process.join()
    told = (tmp_path / "told").read_text().splitlines()[-1]
    assert told == f"stopped by {signum.name}; the same command resumes the run"
    assert process.exitcode == SAVED
    assert not (folder_of(tmp_path) / "error.json").exists()
    assert progress(tmp_path)["position"]["item"] > 0
    again = start(tmp_path)
    again.join()
    assert numbers(tmp_path) == undisturbed


@pytest.mark.parametrize("kills", [3, pytest.param(20, marks=pytest.mark.slow)])
def test_random_kills_change_nothing_and_every_checkpoint_is_readable(tmp_path, kills):
    epochs = f"trainer.max_epochs={2 * kills}"  # on a busy machine a kill comes some items late
    whole, output = tmp_path / "whole", tmp_path / "killed"
    start(whole, epochs).join()
    done, rng = 0, random.Random(0)
    while not list(output.glob("*/*/*/*/result.json")):
        process = start(output, epochs)
        before = progress(output)
        if done < kills and wait_for(lambda: progress(output) != before, process=process):  # noqa: B023
            time.sleep(rng.random() * 0.03)
            os.kill(process.pid, signal.SIGKILL)
            done += 1
        process.join()
        for path in folder_of(output).glob("checkpoints/[!.]*.ckpt"):
            torch.load(path, weights_only=True)
    assert done == kills
    assert numbers(output) == numbers(whole)
