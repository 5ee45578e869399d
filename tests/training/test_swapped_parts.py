"""Lightning module, optimiser and schedule by `_target_`: trained, resumed, scored, refused."""

import csv
import json
import signal
import sys

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from run_commands import composed, train
from torch import nn

import flowbench
from flowbench.config.configuration import ConfigError
from flowbench.config.settings import Training
from flowbench.figures.figures import draw_figures
from flowbench.training.flow_module import FlowModule, NonFiniteError
from flowbench.training.interrupted import Interrupted
from flowbench.training.interruption import Interruptions
from flowbench.training.maximum_likelihood import MaximumLikelihood
from flowbench.training.optimization import OptimizationError

MODULE = "tests_of_swapped_parts"
SMALL = [
    "data=table",
    "model.layers=2",
    "model.hidden_units=[8]",
    "training.batch_size=20",
    "trainer=cpu",
    "trainer.max_epochs=2",
    "logger=none",
]
STEPS = 100  # of an epoch: two items of ours, 100 of a module that takes one minibatch at a time


class Smoothed(FlowModule):
    """Rows are shifted a little: a module that draws random numbers and has parameters itself."""

    def __init__(self, flow, training, *, scale=0.01):
        super().__init__(flow, training)
        self.scale = scale
        self.temperature = nn.Parameter(torch.zeros(()))

    def training_step(self, batch, batch_idx):
        x = batch.x + self.scale * torch.randn_like(batch.x)
        loss = -self.flow(x, batch.context).mean()
        self.log("loss", loss)
        return loss + self.temperature.square()


class Weighted(MaximumLikelihood):
    """Ours with another objective."""

    def log_likelihood(self, batch):
        return 2 * super().log_likelihood(batch)


class OwnOptimizer(FlowModule):
    def configure_optimizers(self):
        optimizer = torch.optim.SGD(self.flow.parameters(), lr=self.options.learning_rate)
        return [optimizer], [torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)]

    def training_step(self, batch, batch_idx):
        return -self.flow(batch.x, batch.context).mean()


class Diverging(FlowModule):
    def training_step(self, batch, batch_idx):
        return self.flow(batch.x).mean() * (torch.nan if self.step == 5 else 1.0)


class Foreign(pl.LightningModule):
    def __init__(self, flow, training): ...


def of_no_scheduler(optimizer):
    return optimizer


def warmup(optimizer, *, steps):
    return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / steps))


@pytest.fixture(autouse=True)
def _importable_and_without_figures(monkeypatch):
    monkeypatch.setitem(sys.modules, MODULE, sys.modules[__name__])
    monkeypatch.setattr("flowbench.run.run.draw_figures", lambda *_: None)


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """2000 rows to train on: 100 steps."""
    path = tmp_path_factory.mktemp("rows") / "rows.npy"
    x = torch.randn(2500, 2, generator=torch.Generator().manual_seed(0))
    np.save(path, torch.stack([x[:, 0] + x[:, 1] ** 2, x[:, 1]], 1))
    return f"data.path={path}"


def target(name, **options):
    """A node, as on the command line."""
    words = [f"_target_: {name if '.' in name else f'{MODULE}.{name}'}"]
    return "{" + ", ".join(words + [f"{key}: {value}" for key, value in options.items()]) + "}"


def history(folder):
    with (folder / "metrics.csv").open() as file:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]


def interrupt_after(monkeypatch, items):
    """SIGTERM comes after so many training items."""
    count = iter(range(items))

    def arriving(self, *args, **kwargs):
        if next(count, None) is None:
            self.signum = signal.SIGTERM
        return original(self, *args, **kwargs)

    original = Interruptions.on_train_batch_end
    monkeypatch.setattr(Interruptions, "on_train_batch_end", arriving)


SGD = target("torch.optim.SGD", lr=0.01, momentum=0.9)
STEP_LR = target("torch.optim.lr_scheduler.StepLR", step_size=70, gamma=0.5)
PARTS = {
    "module, schedule, average": (
        [f"module={target('Smoothed', scale=0.1)}", f"training.schedule={STEP_LR}",
         "training.ema=0.9"], 150,
    ),
    "module, cosine, optimiser": (
        [f"module={target('Smoothed')}", "training.schedule=cosine", f"training.optimizer={SGD}"],
        199,
    ),
    "module's own optimiser": ([f"module={target('OwnOptimizer')}"], 120),
    "ours derived": ([f"module={target('Weighted')}"], 3),
    "optimiser, average, noise": (
        [f"training.optimizer={target('torch.optim.RMSprop')}", "training.ema=0.9",
         "training.noise=0.1"], 3,
    ),
    "Muon, cosine": (
        [f"training.optimizer={target('flowbench.training.Muon')}", "training.schedule=cosine",
         "training.learning_rate=0.01"], 3,
    ),
    "optimiser, cosine": ([f"training.optimizer={SGD}", "training.schedule=cosine"], 3),
    "schedule of ones own": ([f"training.schedule={target('warmup', steps=150)}"], 3),
}  # fmt: skip


@pytest.mark.parametrize("name", PARTS)
def test_a_run_with_swapped_parts_resumes_to_the_same_digits(tmp_path, rows, name):
    overrides, items = PARTS[name]
    words = [*SMALL, rows, *overrides]
    folder, result = train(tmp_path / "whole", *words)
    assert result["epochs"] == 2
    with pytest.MonkeyPatch.context() as patch:
        interrupt_after(patch, items)
        with pytest.raises(Interrupted):
            train(tmp_path / "parts", *words)
    again, resumed = train(tmp_path / "parts", *words)
    assert history(again) == history(folder)
    assert (resumed["test"], resumed["val"]) == (result["test"], result["val"])
    one, other = (
        torch.load(f / "checkpoints/last.ckpt", weights_only=True) for f in (folder, again)
    )
    assert one["progress"] == other["progress"]
    assert one["progress"]["step"] == 2 * STEPS
    assert str(one["lr_schedulers"]) == str(other["lr_schedulers"])
    x = torch.randn(50, 2)
    densities = [flowbench.load(path).log_prob(x) for path in (folder, again)]
    assert torch.equal(*densities)


def test_a_module_of_ones_own_follows_the_settings(tmp_path, rows, monkeypatch):
    module = f"module={target('Smoothed', scale=0.0)}"
    with monkeypatch.context() as patch:
        patch.setattr("flowbench.run.run.draw_figures", draw_figures)
        folder, result = train(tmp_path, *SMALL, rows, module, "figures=[learning_curve]")
    ours = train(tmp_path, *SMALL, rows)[0]
    mine, others = history(folder), history(ours)
    assert [float(row["train/loss"]) for row in mine] == pytest.approx(
        [-float(row["train/log_likelihood"]) for row in others], abs=0.02
    )
    assert float(mine[-1]["val/log_likelihood"]) == pytest.approx(
        float(others[-1]["val/log_likelihood"]), abs=0.02
    )
    assert folder != ours
    assert 0 < float(mine[-1]["gradient_norm"]) < 100
    assert (folder / "figures" / "learning_curve.png").is_file()
    assert json.loads((folder / "result.json").read_text()) == result


def test_fit_takes_an_optimiser_and_a_schedule():
    x = torch.randn(500, 2, generator=torch.Generator().manual_seed(0))
    options = {"optimizer": {"_target_": "torch.optim.SGD"}, "learning_rate": 0.1, "max_epochs": 2}
    schedule = {"_target_": "torch.optim.lr_scheduler.StepLR", "step_size": 3, "gamma": 0.5}
    options |= {"schedule": schedule, "batch_size": 225}  # two steps per epoch
    density = flowbench.fit(flowbench.MAF(2, layers=1, hidden_units=[8]), x, **options)
    assert [row["learning_rate"] for row in density.history] == [0.1, 0.05]


def test_adam_over_one_tensor_is_adam_over_each(tmp_path, rows):
    adam = f"training.optimizer={target('torch.optim.Adam', fused='true')}"
    results = [train(tmp_path, *SMALL, rows, *more)[1] for more in ([], [adam])]
    one, other = (result["val"]["log_likelihood"]["model_space"]["mean"] for result in results)
    assert one == pytest.approx(other, abs=1e-5)
    assert results[0]["hash"] != results[1]["hash"]


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        (f"module={target('Nothing')}", "has no attribute 'Nothing'"),
        (
            f"module={target('Smoothed', scal=1)}",
            "module.scal: unknown key; did you mean",
        ),
        ("module={scale: 1}", "module._target_ is missing: expected the dotted name"),
        ("module=mine", "module=mine: expected a mapping or null"),
        (f"module={target('Smoothed', flow=1)}", "module.flow: flowbench sets it itself"),
        ("training.optimizer=adam", "training.optimizer=adam: expected a mapping or null"),
        ("training.optimizer={lr: 1}", "training.optimizer._target_ is missing"),
        (
            f"training.optimizer={target('torch.optim.SGD', momentun=0.9)}",
            "training.optimizer.momentun: unknown key; did you mean training.optimizer.momentum?",
        ),
        (
            f"training.optimizer={target('torch.optim.SGD', momentum='high')}",
            "training.optimizer.momentum=high: expected a number",
        ),
        (
            f"training.schedule={target('torch.optim.lr_scheduler.StepLR')}",
            "training.schedule.step_size is missing: expected an integer",
        ),
        (
            f"training.schedule={target('torch.optim.lr_scheduler.ReduceLROnPlateau')}",
            "needs metrics at every step, expected a scheduler that depends on the number",
        ),
    ],
)
def test_mistakes_are_told_with_all_others_before_data_are_read(override, sentence):
    with pytest.raises(ConfigError) as caught:
        composed(override, "seed=-1", "data=table", "data.path=nowhere.csv")
    assert sentence in str(caught.value)
    assert "seed=-1: expected" in str(caught.value)


@pytest.mark.parametrize(
    ("override", "kind", "sentence"),
    [
        (f"module={target('Foreign')}", ConfigError, "Foreign: expected a subclass of flowbench"),
        (f"module={target('warmup', steps=1)}", ConfigError, "optimizer is missing: expected a v"),
        (f"module={target('Diverging')}", NonFiniteError, "step 6: the loss is not finite"),
        (f"training.optimizer={target('torch.nn.Linear', in_features=1, out_features=1)}",
         OptimizationError, "Linear cannot be built: "),
        (f"training.optimizer={target('torch.optim.LBFGS')}",
         OptimizationError, "LBFGS evaluates the loss several times per step"),
        (f"training.optimizer={target('torch.optim.SGD', lr=-1)}",
         OptimizationError, "SGD cannot be built: Invalid learning rate: -1"),
        (f"training.optimizer={target('torch.optim.SparseAdam')}",
         OptimizationError, "SparseAdam: a step failed: SparseAdam does not support dense"),
        (f"training.schedule={target('torch.optim.lr_scheduler.StepLR', step_size=0)}",
         OptimizationError, "StepLR: a step failed: integer modulo by zero"),
        (f"training.schedule={target('of_no_scheduler')}", OptimizationError, "gives a Adam, exp"),
    ],
)  # fmt: skip
def test_what_cannot_train_is_told_in_one_sentence(tmp_path, rows, override, kind, sentence):
    with pytest.raises(kind, match=sentence) as caught:
        train(tmp_path, *SMALL, rows, override)
    assert len(str(caught.value).splitlines()) == 1
    assert not list(tmp_path.glob("outputs/**/result.json"))


def test_a_module_alone_has_the_defaults_of_training():
    flow = flowbench.MAF(2, layers=1, hidden_units=[4])
    assert FlowModule(flow).options == MaximumLikelihood(flow).options == Training()
