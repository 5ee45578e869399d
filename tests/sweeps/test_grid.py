"""A sweep runs what is missing, and tells what became of every job."""

import json
import shutil

from hydra import compose, initialize_config_dir
from sweep_commands import ROOT, results, statuses, table

from flowbench.run.folder import RunFolder
from flowbench.run.main import config_directory

FAILS = "the log-likelihood is not finite"


def test_a_failed_job_neither_stops_nor_hides_the_others(sweep, tmp_path):
    done = sweep(tmp_path, "training.learning_rate=0.001,1e20,x,0.002")
    assert done.returncode == 1, done.stderr
    assert statuses(done.stdout) == ["done", "failed", "failed", "done"]
    assert FAILS in done.stdout
    assert "training.learning_rate=x: expected" in done.stdout
    before = results(tmp_path)
    assert len(before) == 2
    [error] = tmp_path.glob("*/*/*/*/error.json")
    assert json.loads(error.read_text())["type"] == "NonFiniteError"

    again = sweep(tmp_path, "training.learning_rate=0.001,0.002,0.003")
    assert again.returncode == 0, again.stderr
    assert statuses(again.stdout) == ["skipped", "skipped", "done"]
    assert before.items() <= results(tmp_path).items()


def test_a_combination_that_cannot_be_composed_is_a_failed_job(sweep, tmp_path):
    """The small runs have `model.layers`, which one of these models lacks."""
    done = sweep(tmp_path, "model=maf,gaussian,nosuch", "seed=0,x")
    assert done.returncode == 1
    told = [(row["model"], row["seed"], row["status"]) for row in table(done.stdout)]
    assert told == [
        *[("maf", "0", "done"), ("maf", "x", "failed")],
        *[(model, seed, "failed") for model in ("gaussian", "nosuch") for seed in "0x"],
    ]
    errors = [row["test log-likelihood"] for row in table(done.stdout)]
    assert errors[1].startswith("seed=x: expected an integer")
    assert errors[2].startswith("model.layers is not a key")
    assert errors[4].startswith("model=nosuch does not exist")


def test_a_sweep_of_which_no_job_can_run_is_refused_at_once(sweep, tmp_path):
    done = sweep(tmp_path, "model=gaussian,nosuch", "seed=0,1")
    assert done.returncode == 2
    assert [line.split(";")[0] for line in done.stderr.splitlines()] == [
        "model.layers is not a key",
        "model.hidden_units is not a key",
        "model=nosuch does not exist",
    ]
    assert not done.stdout
    assert not list(tmp_path.iterdir())


def test_a_job_that_runs_elsewhere_is_neither_started_nor_failed(sweep, tmp_path):
    assert sweep(tmp_path, "seed=0").returncode == 0
    [result] = results(tmp_path)
    result.unlink()
    with RunFolder(result.parent).lock():
        done = sweep(tmp_path, "seed=0,1")
    assert done.returncode == 1
    assert statuses(done.stdout) == ["running", "done"]
    assert "1 running in other processes: the same command tells later" in done.stdout
    assert "another process" not in done.stderr
    again = sweep(tmp_path, "seed=0,1")
    assert again.returncode == 0
    assert statuses(again.stdout) == ["done", "skipped"]


def test_jobs_side_by_side_are_processes_with_the_configuration_that_the_command_names(
    sweep, tmp_path
):
    """It has another name and folder, and chooses a model of a third place."""
    path, extra = tmp_path / "configs", tmp_path / "extra"
    shutil.copytree(config_directory(), path)
    text = (path / "train.yaml").read_text().replace("- model: maf ", "- model: other ")
    (path / "mine.yaml").write_text(text)
    (extra / "model").mkdir(parents=True)
    text = (path / "model" / "realnvp.yaml").read_text().replace("name: realnvp", "name: other")
    (extra / "model" / "other.yaml").write_text(text)
    flags = [f"--config-path={path}", f"--config-dir={extra}", "--config-name=mine"]
    words = ["hydra/launcher=local", "hydra.launcher.jobs=2", "training.learning_rate=0.001,1e20"]
    done = sweep(tmp_path, *words, *flags)
    assert done.returncode == 1, done.stderr
    assert statuses(done.stdout) == ["done", "failed"], done.stdout + done.stderr
    assert FAILS in done.stdout
    assert len(list(tmp_path.glob(".jobs/*.log"))) == 2
    [result] = tmp_path.glob("*/*/*/*/result.json")
    told = json.loads(result.read_text())
    assert told["model"] == "other"
    assert all(flag in told["command"] for flag in flags)


def test_every_preset_sweeps_over_keys_of_the_model():
    for preset in (ROOT / "configs" / "sweep").glob("*.yaml"):
        with initialize_config_dir(str(config_directory()), version_base="1.3"):
            config = compose("train", [f"sweep={preset.stem}"], return_hydra_config=True)
            swept = config.hydra.sweeper.params
            assert len(swept)
            for key, values in swept.items():
                words = [f"sweep={preset.stem}", f"{key}={str(values).split(',')[-1]}"]
                compose("train", words)
