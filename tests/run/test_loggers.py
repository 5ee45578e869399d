"""Loggers: what they have been told can be read back, once, also after a failure or a kill."""

import json
import subprocess
import sys
import types
from pathlib import Path

import forked
import pytest
import wandb
from hydra import compose, initialize_config_dir
from waiting import wait_until

from flowbench.config.configuration import check
from flowbench.run import main as command
from flowbench.run import names
from flowbench.run import run as run_module
from flowbench.run.identity import run_directory
from flowbench.run.loggers import LoggerError
from flowbench.run.wandb_run import WandbRun
from flowbench.run.weights_and_biases import wandb_run
from flowbench.training.maximum_likelihood import NonFiniteError

SMALL = ["data.train_rows=1000", "data.val_rows=200", "training.batch_size=100"]
SMALL += ["model.layers=1", "model.hidden_units=[8]", "trainer.max_epochs=3", "figures=false"]
DIVERGES = ["training.learning_rate=1e4", "training.gradient_clip_norm=null"]
DIVERGES += ["model.batch_norm=false", "model.log_scale_bound=null", "trainer.max_epochs=30"]
VALIDATION = "val/log_likelihood"


@pytest.fixture
def start(tmp_path, monkeypatch):
    """Compose, check and run in an empty folder; returns the result."""
    monkeypatch.chdir(tmp_path)

    def start(*overrides):
        with initialize_config_dir(str(command.config_directory()), version_base="1.3"):
            config = compose("train", [*SMALL, *overrides])
        return run_module.run(check(config), run_directory(config))

    return start


@pytest.fixture
def fail_once(monkeypatch):
    """The first evaluation fails, after training."""
    attempts = []

    def evaluate(*arguments, real=run_module.scored, **options):
        if not attempts:
            attempts.append(True)
            raise OSError("the disk is full")
        return real(*arguments, **options)

    monkeypatch.setattr(run_module, "scored", evaluate)


def segments(folder):
    """The records of every offline file, the oldest file first."""
    files = sorted(folder.glob("outputs/**/wandb/offline-run-*/*.wandb"))
    return [_records(file) for file in files]


def _records(file):
    words = [sys.executable, "-m", "wandb", "leet", "inspect", "--json", str(file)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def of_kind(records, kind):
    return [record[kind] for record in records if record["type"] == kind]


def rows(records):
    """The epochs of a segment: (step, validation log-likelihood)."""
    items = [history["item"] for history in of_kind(records, "history")]
    return [(item["trainer/global_step"], item[VALIDATION]) for item in items if "epoch" in item]


def test_wandb_has_config_metrics_tables_and_pictures_and_another_run_after_overwriting(
    start, tmp_path, capsys
):
    result = start("logger=wandb", "logger.wandb.checkpoint=true", "figures=[density,pairs]")
    [records] = segments(tmp_path)
    [run] = of_kind(records, "run")
    assert run["run_id"] == f"{result['hash']}-0"
    assert run["display_name"] == "maf on toy, seed 0"
    assert run["project"] == "flowbench"
    assert of_kind(records, "config")[-1]["update"]["model"]["layers"] == 1
    assert len(rows(records)) == 3
    items = [history["item"] for history in of_kind(records, "history")]
    mean = result["test"]["log_likelihood"]["model_space"]["mean"]
    assert mean in [item.get("test/log_likelihood") for item in items]
    files = {one["path"] for part in of_kind(records, "files") for one in part["files"]}
    for figure in ("density", "pairs"):
        [path] = [name for name in files if name.startswith(f"media/images/figures/{figure}_")]
        [picture] = tmp_path.glob(f"outputs/**/files/{path}")
        assert picture.read_bytes().startswith(b"\x89PNG")
    assert any("log_likelihoods" in name for name in files)
    assert "model" in [artifact["type"] for artifact in of_kind(records, "artifact")]
    assert of_kind(records, "exit")[-1].get("exit_code", 0) == 0
    printed = capsys.readouterr().out
    [line] = [line for line in printed.splitlines() if "wandb sync" in line]
    assert Path(line.partition("wandb sync ")[2]).is_dir()

    start("logger=wandb", "overwrite=true")
    [records] = segments(tmp_path)
    [run] = of_kind(records, "run")
    assert run["run_id"].startswith(f"{result['hash']}-0-")


def test_wandb_is_finished_as_failed_when_the_run_fails(start, tmp_path):
    with pytest.raises(NonFiniteError):
        start("logger=wandb", *DIVERGES)
    [records] = segments(tmp_path)
    assert of_kind(records, "exit")[-1]["exit_code"] == 1


def test_a_killed_and_resumed_run_is_one_wandb_run_with_every_epoch_once(
    start, tmp_path, monkeypatch
):
    more = ["logger=wandb", "trainer.max_epochs=15"]
    monkeypatch.delenv("WANDB_SERVICE", raising=False)
    process = forked.command(tmp_path / "log", *SMALL, *more, folder=tmp_path)
    wait_until(
        lambda: any(
            len(path.read_text().splitlines()) > 3
            for path in tmp_path.glob("outputs/**/metrics.csv")
        ),
        what="three epochs",
        pause=0.005,
    )
    process.kill()
    process.join()
    assert not list(tmp_path.glob("outputs/**/result.json"))
    start(*more)
    first, last = segments(tmp_path)
    [identity] = {run["run_id"] for part in (first, last) for run in of_kind(part, "run")}
    assert identity.endswith("-0")
    whole = rows(last)
    assert [step for step, _ in whole] == list(range(10, 151, 10))
    assert rows(first) == whole[: len(rows(first))]


def test_tensorboard_shows_every_epoch_once_after_a_failure(start, tmp_path, fail_once):
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    with pytest.raises(OSError, match="disk is full"):
        start("logger=tensorboard")
    result = start("logger=tensorboard", "figures=[density,pairs]")
    [folder] = {path.parent for path in tmp_path.glob("outputs/**/events.out.tfevents.*")}
    events = reader.EventAccumulator(str(folder))
    events.Reload()
    steps = [event.step for event in events.Scalars("train/log_likelihood")]
    assert steps == [10, 20, 30]
    steps = [event.step for event in events.Scalars(VALIDATION)]
    assert steps == [10, 20, 30, 30]  # the last one of the best epoch
    mean = result["test"]["log_likelihood"]["model_space"]["mean"]
    assert events.Scalars("test/log_likelihood")[-1].value == pytest.approx(mean)
    assert {"figures/density", "figures/pairs"} <= set(events.Tags()["images"])


def test_mlflow_keeps_one_run_with_every_epoch_once_after_a_failure(start, tmp_path, fail_once):
    mlflow = pytest.importorskip("mlflow", reason="MLflow is not installed")
    pytest.importorskip("sqlalchemy", reason="MLflow without SQLAlchemy has no database")
    with pytest.raises(OSError, match="disk is full"):
        start("logger=mlflow")
    client = mlflow.MlflowClient("sqlite:///outputs/mlflow.db")
    [experiment] = [e for e in client.search_experiments() if e.name == "flowbench"]
    [failed] = client.search_runs([experiment.experiment_id])
    assert failed.info.status == "FAILED"
    start("logger=mlflow", "figures=[density]")
    [run] = client.search_runs([experiment.experiment_id])
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "maf on toy, seed 0"
    assert run.data.params["model/layers"] == "1"
    history = client.get_metric_history(run.info.run_id, "train/log_likelihood")
    assert [metric.step for metric in history] == [10, 20, 30]
    figures = [item.path for item in client.list_artifacts(run.info.run_id, "figures")]
    assert "figures/density.png" in figures


def test_several_loggers_watch_at_once_and_none_is_none(start, tmp_path):
    pytest.importorskip("tensorboard")
    start("logger=[wandb,tensorboard,csv]")
    assert len(segments(tmp_path)) == 1
    assert list(tmp_path.glob("outputs/**/events.out.tfevents.*"))
    start("logger=none", "seed=1")
    [folder] = tmp_path.glob("outputs/**/seed=1")
    made = {path.name for path in folder.iterdir()}
    assert not made & {"wandb", "tensorboard"}


def test_a_logger_that_is_not_installed_is_told_in_one_sentence(start, monkeypatch):
    from pytorch_lightning.loggers import mlflow

    monkeypatch.setattr(mlflow, "_MLFLOW_AVAILABLE", False)
    with pytest.raises(LoggerError, match=r'^logger=mlflow .*pip install "flowbench\[mlflow\]"'):
        start("logger=mlflow")


@pytest.mark.parametrize("key", ["a" * 40, "short", None], ids=["unreachable", "wrong", "none"])
def test_without_a_server_or_a_key_the_run_is_recorded_offline(
    start, tmp_path, monkeypatch, capsys, key
):
    wandb.teardown()  # the service of earlier tests would keep to their server
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("WANDB_INIT_TIMEOUT", "1")
    monkeypatch.setenv("HOME", str(tmp_path))  # without a stored key
    if key is None:
        monkeypatch.delenv("WANDB_API_KEY", raising=False)
    else:
        monkeypatch.setenv("WANDB_API_KEY", key)
    start("logger=wandb", "logger.wandb.offline=false", "logger.wandb.tags=[a,b]")
    printed = capsys.readouterr()
    assert "W&B: " in printed.err
    assert "recorded offline" in printed.err
    assert "wandb sync" in printed.out
    [records] = [found for found in segments(tmp_path) if of_kind(found, "run")]
    assert len(rows(records)) == 3
    assert of_kind(records, "run")[0]["tags"] == ["a", "b"]


def test_no_file_of_wandb_is_outside_of_the_run_folder(start, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", "/dev/null/nowhere")
    start("logger=wandb", "logger.wandb.checkpoint=true")
    assert list(tmp_path.glob("outputs/**/wandb/data/artifacts/staging/*"))
    [records] = segments(tmp_path)
    assert "model" in [artifact["type"] for artifact in of_kind(records, "artifact")]


def test_the_mode_of_the_environment_is_obeyed(start, tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    start("logger=wandb")
    assert not segments(tmp_path)


def test_the_result_is_complete_even_if_wandb_fails_at_the_end(
    start, tmp_path, monkeypatch, capsys
):
    def fail(*_: object, **__: object) -> None:
        raise OSError("the quota is used up")

    monkeypatch.setattr(WandbRun, "log_table", fail)
    start("logger=wandb")
    assert "the quota is used up" in capsys.readouterr().err
    assert list(tmp_path.glob("outputs/**/result.json"))
    assert not list(tmp_path.glob("outputs/**/error.json"))


def test_online_the_rows_that_the_server_has_are_left_out():
    logged = []
    run = types.SimpleNamespace(
        resumed=True, summary={"trainer/global_step": 20}, log=lambda values: logged.append(values)
    )
    logger = wandb_run(offline=False)
    logger._experiment = run
    for step in (10, 20, 30):
        logger.log_metrics({"epoch": step // 10}, step=step)
    logger.log_metrics({"test/log_likelihood": -3.5})
    assert [values.get("epoch") for values in logged] == [3, None]


def test_runs_of_a_sweep_are_named_by_what_differs_and_grouped_by_the_sweep(
    monkeypatch, tmp_path, capsys
):
    seen = []

    def run(settings, path):
        seen.append((names.run_name(settings.plain), names.run_group(), names.run_command()))

    stub = types.ModuleType("flowbench.run.run")
    stub.run = run  # pyright: ignore[reportAttributeAccessIssue]
    monkeypatch.setitem(sys.modules, stub.__name__, stub)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "")
    words = ["-m", "model.layers=1,2", "seed=range(2)", "logger=none", "trainer.max_epochs=3"]
    monkeypatch.setattr("sys.argv", ["train.py", *words, f"paths.output={tmp_path}"])
    with pytest.raises(SystemExit):  # no job leaves a result
        command.main()
    assert [name for name, _, _ in seen] == [
        f"model.layers={layers} seed={seed}" for layers in (1, 2) for seed in (0, 1)
    ]
    assert {group for _, group, _ in seen} == {
        "model.layers=1,2 seed=range(2) trainer.max_epochs=3"
    }
    assert seen[0][2].startswith("python train.py model.layers=1 seed=0 logger=none")


def test_what_wandb_refuses_in_every_mode_costs_a_sentence(start, tmp_path, capsys):
    result = start("logger.wandb.project=a/b")
    assert result["epochs"] == 3
    told = [line for line in capsys.readouterr().err.splitlines() if line.startswith("W&B:")]
    assert len(told) == 1
    assert "Invalid project name" in told[0]
    assert "the run goes on without it" in told[0]
