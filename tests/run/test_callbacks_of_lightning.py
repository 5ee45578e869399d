"""Lightning's own callbacks, from the section `callbacks`."""

import csv
import math

import pytest
import torch
from pytorch_lightning.callbacks import Callback
from run_commands import composed, train

from flowbench.config.configuration import ConfigError

SMALL = ["data.train_rows=1000", "data.val_rows=200", "training.batch_size=100", "figures=false"]
SMALL += ["model.layers=1", "model.hidden_units=[8]", "logger=csv"]
LIGHTNING = "pytorch_lightning.callbacks"
BEST = "monitor: val/log_likelihood, mode: max"


def added(name, options="", *, of=LIGHTNING):
    more = f", {options}" if options else ""
    return f"+callbacks.{name}={{_target_: {of}.{name}{more}}}"


def epochs_of(path):
    with (path / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("monitor", ["val/log_likelihood", "train/log_likelihood"])
def test_early_stopping_stops_where_its_patience_ends(tmp_path, monitor):
    stop = added("EarlyStopping", f"monitor: {monitor}, min_delta: 99, mode: max, patience: 2")
    _, result = train(tmp_path, *SMALL, "trainer.max_epochs=9", stop)
    assert result["epochs"] == 3
    again = train(tmp_path, *SMALL, "trainer.max_epochs=9", stop)[1]
    assert again == result


def test_a_run_that_was_stopped_early_and_not_scored_is_not_trained_further(tmp_path):
    stop = added("EarlyStopping", "monitor: val/log_likelihood, mode: min, patience: 2")
    path, result = train(tmp_path, *SMALL, "trainer.max_epochs=9", stop)
    (path / "result.json").unlink()
    assert train(tmp_path, *SMALL, "trainer.max_epochs=9", stop)[1]["epochs"] == result["epochs"]


def test_model_checkpoint_keeps_the_best_epochs_by_the_number_of_steps(tmp_path):
    keep = added("ModelCheckpoint", f"{BEST}, save_top_k: 2, dirpath: {tmp_path / 'kept'}")
    path, _ = train(tmp_path, *SMALL, "trainer.max_epochs=4", keep)
    rows = sorted(epochs_of(path), key=lambda row: -float(row["val/log_likelihood"]))
    expected = {f"epoch={row['epoch']}-step={row['step']}.ckpt" for row in rows[:2]}
    assert {file.name for file in (tmp_path / "kept").iterdir()} == expected
    values = torch.load(tmp_path / "kept" / next(iter(expected)), weights_only=True)
    assert values["global_step"] == values["progress"]["step"]


def test_monitors_log_learning_rates_and_the_device_at_the_steps_of_the_run(tmp_path):
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    pytest.importorskip("psutil", reason="DeviceStatsMonitor needs psutil")
    monitors = (added("LearningRateMonitor"), added("DeviceStatsMonitor"))
    path, _ = train(tmp_path, *SMALL, "trainer.max_epochs=2", "logger=tensorboard", *monitors)
    events = reader.EventAccumulator(str(path / "tensorboard"))
    events.Reload()
    rates = events.Scalars("lr-Adam")
    assert {event.step for event in rates} == {0, 10}
    assert all(math.isclose(event.value, 1e-3, rel_tol=1e-6) for event in rates)
    assert [tag for tag in events.Tags()["scalars"] if tag.startswith("DeviceStatsMonitor")]


def test_everything_in_metrics_csv_can_be_monitored(tmp_path):
    seen = tmp_path / "seen"
    path, _ = train(
        tmp_path, *SMALL, "trainer.max_epochs=1",
        added("Seen", f"path: {seen}", of=f"{__name__}"),
    )  # fmt: skip
    names = set(seen.read_text().split())
    assert names >= set(epochs_of(path)[0]) - {"epoch", "step"}


@pytest.mark.parametrize(
    ("callback", "told"),
    [
        (added("StochasticWeightAveraging", "swa_lrs: 0.1"), r"expected training\.ema="),
        (added("BatchSizeFinder"), r"training\.batch_size is the batch of a step"),
        (added("GradientAccumulationScheduler", "scheduling: {0: 2}"), r"training\.batch_size"),
        (added("LearningRateFinder"), r"set training\.learning_rate"),
        (added("ModelPruning", "pruning_fn: l1_unstructured"), "renames the parameters"),
        (added("EarlyStopping", "monitor: val/los"), "monitor=val/los: there is no such score"),
        (added("Adam", of="torch.optim", options="params: []"), r"subclass of pytorch_lightning"),
    ],
)
def test_what_cannot_serve_is_refused_with_the_way_out(callback, told):
    with pytest.raises(ConfigError, match=told):
        composed(*SMALL, callback)


def test_a_function_must_return_a_callback(tmp_path):
    with pytest.raises(
        ConfigError, match=r"gives a PosixPath, expected a pytorch_lightning\.Callback"
    ):
        train(tmp_path, *SMALL, "+callbacks.a={_target_: pathlib.Path.cwd}")


class Seen(Callback):
    """Writes the names of the metrics that can be monitored after an epoch."""

    def __init__(self, path: str) -> None:
        self.path = path

    def on_train_end(self, trainer, pl_module) -> None:
        with open(self.path, "w") as file:
            file.write(" ".join(trainer.callback_metrics))


def test_weight_averaging_is_refused_where_lightning_has_it():
    callbacks = pytest.importorskip("pytorch_lightning.callbacks")
    if not hasattr(callbacks, "WeightAveraging"):
        pytest.skip("this Lightning has no WeightAveraging")
    for name, options in (("WeightAveraging", ""), ("EMAWeightAveraging", "decay: 0.99")):
        with pytest.raises(ConfigError, match=r"expected training\.ema="):
            composed(*SMALL, added(name, options))


def unable():
    raise RuntimeError("no such display")


def test_one_that_cannot_be_built_is_told(tmp_path):
    with pytest.raises(ConfigError, match="cannot be built: no such display"):
        train(tmp_path, *SMALL, added("unable", of=__name__))
