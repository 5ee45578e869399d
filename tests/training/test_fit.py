"""A flow trained on tensors, without Hydra."""

import logging
import pty
import sys
import termios
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

import flowbench
from flowbench.checkpoint import FORMAT, CheckpointError
from flowbench.data import DataError
from flowbench.evaluation.runs import open_run
from flowbench.flows.peers import Zuko
from flowbench.training.averaging import WeightAverage
from flowbench.training.maximum_likelihood import NonFiniteError


def rows(n=4000, *, seed=0):
    rng = np.random.default_rng(seed)
    c = rng.normal(3.0, 10.0, (n, 1))
    a = 100 + 2 * c + 5 * rng.normal(size=(n, 1))
    return np.concatenate([a, -1e-3 * rng.normal(size=(n, 1))], axis=1), c


X = rows(100)[0]


def entropy():
    return np.log(2 * np.pi * np.e) + np.log(5 * 1e-3)


def test_a_conditional_density_in_the_units_of_the_data():
    x, c = rows()
    flow = flowbench.MAF(2, context_features=1, layers=2, hidden_units=[16])
    density = flowbench.fit(flow, x, c, max_epochs=30, batch_size=100)
    fresh, given = (torch.from_numpy(part) for part in rows(seed=1))
    mean = density.log_prob(fresh, given).mean().item()
    assert mean == pytest.approx(-entropy(), abs=0.1)
    drawn = density.sample(2000, torch.tensor([[13.0]]))[:, 0]
    assert drawn[:, 0].mean().item() == pytest.approx(126, abs=2)
    assert density.flow is flow
    assert not flow.training


def test_closed_form_flows_are_only_fitted(tmp_path):
    x, _ = rows()
    density = flowbench.fit(flowbench.Gaussian(2), x, standardized=False)
    density.save(tmp_path / "density.ckpt")
    assert torch.equal(flowbench.load(tmp_path / "density.ckpt").log_prob(x), density.log_prob(x))
    assert density.log_prob(torch.from_numpy(x)).mean().item() == pytest.approx(
        -np.log(2 * np.pi * np.e) - np.log(np.sqrt(425) * 1e-3), abs=0.1
    )


def test_batch_norms_hold_the_statistics_of_the_training_rows():
    x, _ = rows(1000)
    flow = flowbench.MAF(2, layers=1, hidden_units=[8])
    density = flowbench.fit(flow, x, max_epochs=2, validation=0.2)
    first, norm = list(flow.transform.transforms)[::-1]
    index = np.random.default_rng(0).permutation(1000)[200:]
    with torch.no_grad():
        u = density.preprocess.inverse(torch.from_numpy(x[index]))[0].float()
        u, _ = first.inverse(u)
    torch.testing.assert_close(norm.mean, u.mean(0), atol=1e-4, rtol=1e-4)


def test_the_same_seed_gives_the_same_density_and_leaves_the_random_state_alone():
    x, _ = rows(600)

    def trained():
        torch.manual_seed(1)
        flow = flowbench.MAF(2, layers=1, hidden_units=[8], dropout=0.1)
        state = torch.get_rng_state()
        density = flowbench.fit(flow, x, max_epochs=2, noise=0.1)
        assert torch.equal(torch.get_rng_state(), state)
        return density.log_prob(torch.from_numpy(x))

    assert torch.equal(trained(), trained())


def test_a_flow_in_evaluation_mode_is_trained_like_any_other():
    x, _ = rows(300)

    def trained(mode):
        flow = flowbench.MAF(2, layers=1, hidden_units=[8])
        torch.nn.utils.vector_to_parameters(torch.full((64,), 0.1), flow.parameters())
        return flowbench.fit(flow.train(mode), x, max_epochs=1).log_prob(x)

    assert torch.equal(trained(True), trained(False))


def test_parameters_of_a_run_are_the_start(tmp_path):
    x, _ = rows(600)
    flow = flowbench.MAF(2, layers=1, hidden_units=[8])
    flowbench.fit(flow, x, max_epochs=20)
    state = {f"flow.{name}": value for name, value in flow.state_dict().items()}
    torch.save({"flowbench": {"format": FORMAT}, "state_dict": state}, tmp_path / "a.ckpt")
    other = flowbench.MAF(2, layers=1, hidden_units=[8])
    flowbench.fit(other, x, init_from=tmp_path / "a.ckpt", max_epochs=1, learning_rate=1e-9)
    for one, two in zip(flow.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(one, two, atol=1e-6, rtol=1e-6)
    wide = flowbench.MAF(2, layers=1, hidden_units=[9])
    with pytest.raises(CheckpointError, match="size mismatch"):
        flowbench.fit(wide, x, init_from=tmp_path / "a.ckpt")
    with pytest.raises(CheckpointError, match="no such checkpoint"):
        flowbench.fit(other, x, init_from=tmp_path / "b.ckpt")


def test_the_average_is_what_is_validated_and_returned():
    x, _ = rows(1000)
    seen = []

    class Spy(WeightAverage):
        def _update(self):
            super()._update()
            seen.append((self.tensors[0].clone(), self.other[0].clone()))

    flow = flowbench.MAF(2, layers=1, hidden_units=[8])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("flowbench.training.fitting.WeightAverage", Spy)
        flowbench.fit(flow, x, max_epochs=1, ema=0.9, learning_rate=1e-2)
    weights = [one for one, _ in seen]
    average = weights[0] * 0
    decays = [min(0.9, (1 + t) / (10 + t)) for t in range(1, len(seen) + 1)]
    first = seen[0][1] - (1 - decays[0]) * weights[0]
    average = first / decays[0]
    for weight, decay in zip(weights, decays, strict=True):
        average = decay * average + (1 - decay) * weight
    got = nn.utils.parameters_to_vector(flow.parameters())
    torch.testing.assert_close(got, average, atol=1e-5, rtol=1e-5)
    assert not torch.allclose(got, weights[-1], atol=1e-4)


def test_without_a_finite_epoch_there_is_no_density():
    x = np.random.default_rng(0).normal(size=(100, 2))
    x[np.random.default_rng(0).permutation(100)[0]] = 1e30  # it is held out
    flow = flowbench.MAF(2, layers=1, hidden_units=[4], batch_norm=False)
    level = logging.getLogger("pytorch_lightning").level
    with pytest.raises(NonFiniteError, match="no epoch had a finite validation log-likelihood"):
        flowbench.fit(flow, x, standardized=False, max_epochs=1)
    assert logging.getLogger("pytorch_lightning").level == level


@pytest.mark.parametrize(
    ("x", "context", "sentence"),
    [
        (np.zeros(5), None, r"x has float64 of shape \(5,\)"),
        (np.array([["a"]]), None, "x has <U1"),
        (np.full((5, 2), np.nan), None, "every value must be finite"),
        (np.random.rand(5, 2), np.random.rand(4, 1), "x has 5 rows and context 4"),
        (np.ones((50, 2)), None, "a column must vary"),
        (np.random.rand(3, 2), None, "holds out 0"),
    ],
)
def test_mistakes_end_in_one_sentence(x, context, sentence):
    with pytest.raises(DataError, match=sentence):
        flowbench.fit(flowbench.MAF(2, layers=1), x, context)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"batch_size": 0}, "batch_size=0: expected an integer at least 1"),
        ({"batch_size": -1}, "batch_size=-1: expected an integer at least 1"),
        ({"batch_size": 2.5}, "batch_size=2.5: expected an integer at least 1"),
        ({"batch_size": np.int64(0)}, "batch_size=0: expected an integer at least 1"),
        ({"learning_rate": "1e-3"}, "learning_rate='1e-3': expected a number above 0"),
        ({"learning_rate": 0.0}, "learning_rate=0.0: expected a number above 0"),
        ({"learning_rate": np.nan}, "learning_rate=nan: expected a number above 0"),
        ({"weight_decay": -1.0}, "weight_decay=-1.0: expected a number at least 0"),
        ({"noise": -1.0}, "noise=-1.0: expected a number at least 0"),
        (
            {"gradient_clip_norm": -1.0},
            "gradient_clip_norm=-1.0: expected a number above 0 or None",
        ),
        ({"schedule": "cosin"}, "schedule='cosin': expected constant or cosine"),
        ({"ema": 2.0}, "ema=2.0: expected a number above 0 and below 1 or None"),
        ({"patience": -1}, "patience=-1: expected an integer at least 1 or None"),
        ({"max_epochs": 0}, "max_epochs=0: expected an integer at least 1"),
        ({"max_epochs": None}, "max_epochs=None: expected an integer at least 1"),
        ({"accelerator": "cpus"}, "accelerator='cpus': expected auto, cpu, gpu, cuda, mps or tpu"),
        ({"seed": -1}, "seed=-1: expected an integer at least 0 and below 4294967296"),
        ({"progress": 1}, "progress=1: expected true or false"),
        ({"standardized": "no"}, "standardized='no': expected true or false"),
        ({"init_from": 5}, "init_from=5: expected text, a path or None"),
        ({"validation": 1.5}, "validation=1.5: expected a number above 0 and below 1"),
        ({"validation": np.nan}, "validation=nan: expected a number above 0 and below 1"),
    ],
)
def test_options_are_held_against_their_limits(options, sentence):
    flow = flowbench.MAF(2, layers=1)
    before = nn.utils.parameters_to_vector(flow.parameters())
    with pytest.raises(ValueError) as caught:
        flowbench.fit(flow, rows(100)[0], **options)
    assert str(caught.value) == sentence
    assert torch.equal(nn.utils.parameters_to_vector(flow.parameters()), before)


def scored(flow, x, c, **options):
    """The history of two epochs without noise, from the same start."""
    torch.nn.utils.vector_to_parameters(torch.full((999,), 0.01), flow.parameters())
    history = flowbench.fit(flow, x, c, max_epochs=2, **options).history
    return [row["val/log_likelihood"] for row in history]


def test_validation_rows_of_ones_own():
    x, c = rows(400)
    order = np.random.default_rng(0).permutation(400)
    train, val = order[40:], order[:40]
    flow = flowbench.MAF(2, context_features=1, layers=1, hidden_units=[8])
    drawn = scored(flow, x, c)
    own = scored(flow, x[train], c[train], validation=(x[val], torch.from_numpy(c[val])))
    assert own == drawn
    assert scored(flow, x[train], c[train], validation=(x[train], c[train])) != drawn
    flow = flowbench.MAF(2, layers=1, hidden_units=[8])
    assert scored(flow, x[train], None, validation=x[val].tolist()) == scored(flow, x, None)


def test_columns_of_validation_frames_are_found_by_name():
    x, c = rows(400)
    frame = pd.DataFrame(np.concatenate([x, c], axis=1), columns=["a", "b", "c"])
    flow = flowbench.MAF(2, context_features=1, layers=1, hidden_units=[8])
    one, two = frame[["a", "b"]], frame[["c"]]
    expected = scored(flow, one, two, validation=(x, c))
    assert scored(flow, one, two, validation=(frame[["b", "c", "a"]], frame)) == expected
    with pytest.raises(DataError, match="validation x has no column 'b'; it has a, c"):
        flowbench.fit(flow, one, two, validation=(frame[["a", "c"]], two))


@pytest.mark.parametrize(
    ("context", "validation", "sentence"),
    [
        (None, (X[:9], X[:9]), "validation: expected rows, or the share of x to hold out"),
        (X[:, :1], X[:9], "validation: expected a tuple of rows and their contexts, or the share"),
        (X[:, :1], (X[:9],), "validation: expected a tuple of rows and their contexts, or"),
        (X[:, :1], (X[:9], X[:9]), "validation context has 2 columns, expected the 1 of context"),
        (X[:, :1], (X[:9], X[:8, :1]), "validation x has 9 rows and validation context 8"),
        (None, X[:9, :1], "validation x has 1 columns, expected the 2 of x"),
        (
            None,
            X[:9] * np.nan,
            r"validation x: every value must be finite, but row 1, column 'x\[",
        ),
        (None, "0.1", r"validation x has <U3 of shape \(\), expected numbers \[rows, features\]"),
        (
            None,
            None,
            r"validation x has object of shape \(\), expected numbers \[rows, features\]",
        ),
    ],
)
def test_mistakes_in_validation_rows(context, validation, sentence):
    features = 0 if context is None else 1
    flow = flowbench.MAF(2, context_features=features, layers=1, hidden_units=[4])
    with pytest.raises(DataError, match=sentence):
        flowbench.fit(flow, X, context, validation=validation)


def test_a_flow_in_float64_is_trained_and_kept_in_it(tmp_path):
    x, c = (torch.from_numpy(part) for part in rows(600))
    flow = flowbench.MAF(2, context_features=1, layers=2, hidden_units=[8], dropout=0.1).double()
    density = flowbench.fit(flow, x, c, max_epochs=2, noise=0.01, ema=0.9)
    density.save(tmp_path / "density.ckpt")
    again = flowbench.load(tmp_path / "density.ckpt")
    for one in (density, again):
        assert {part.dtype for part in one.flow.parameters()} == {torch.float64}
        assert one.log_prob(x, c).dtype == one.sample(3, c[:1]).dtype == torch.float64
    assert torch.equal(again.log_prob(x, c), density.log_prob(x, c))
    u = again.flow.transform.inverse(density.preprocess.inverse(x)[0], c)[0]
    torch.testing.assert_close(again.flow.transform(u, c)[0], density.preprocess.inverse(x)[0])


def test_rows_of_a_flow_in_float64_keep_their_digits(tmp_path):
    x = 1e9 + np.random.default_rng(0).normal(size=(2000, 1))  # float32 has steps of 64 there
    density = flowbench.fit(flowbench.Gaussian(1).double(), x, standardized=False)
    entropy = 0.5 * np.log(2 * np.pi * np.e)
    assert density.log_prob(x).mean().item() == pytest.approx(-entropy, abs=0.05)
    density.save(tmp_path / "density.ckpt")
    again = flowbench.load(tmp_path / "density.ckpt")
    assert torch.equal(again.log_prob(x), density.log_prob(x))
    assert again.sample(3).dtype == torch.float64


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_numbers_of_16_bits_are_refused(dtype):
    with pytest.raises(ValueError, match=f"the flow holds {dtype}, expected torch.float32 or"):
        flowbench.fit(flowbench.MAF(2, layers=1).to(dtype), rows(100)[0])


def test_what_is_no_flow_is_refused():
    with pytest.raises(TypeError) as caught:
        flowbench.fit(nn.Linear(2, 2), rows(100)[0])
    expected = "expected a flowbench.Flow"
    assert str(caught.value) == f"flow is a torch.nn.modules.linear.Linear, {expected}"


def test_a_flow_of_zuko_is_fitted_by_its_adapter():
    zuko = pytest.importorskip("zuko")
    x, _ = rows(100)
    with pytest.raises(TypeError, match=r"flowbench\.flows\.peers\.Zuko\(features, flow=…\)"):
        flowbench.fit(zuko.flows.MAF(2), x)
    density = flowbench.fit(Zuko(2, flow=zuko.flows.MAF), x, max_epochs=1)
    assert density.log_prob(x).isfinite().all()


@pytest.mark.parametrize("progress", [True, False])
def test_progress_is_shown_in_a_terminal(progress, monkeypatch):
    master, slave = pty.openpty()
    termios.tcsetwinsize(slave, (24, 80))
    with open(slave, "w") as terminal, open(master, "rb", buffering=0) as screen:
        monkeypatch.setattr("sys.stderr", terminal)
        flow = flowbench.MAF(2, layers=1, hidden_units=[4])
        flowbench.fit(flow, X, max_epochs=2, progress=progress)
        print("end", file=terminal, flush=True)
        seen = screen.read(65536)
    assert (b"epoch 2/2" in seen) == progress
    assert progress or seen.startswith(b"end")


def test_progress_is_a_line_in_a_notebook_and_nothing_elsewhere(monkeypatch, capfd):
    flow = flowbench.MAF(2, layers=1, hidden_units=[4])
    flowbench.fit(flow, X, max_epochs=2)
    assert capfd.readouterr() == ("", "")
    monkeypatch.setitem(sys.modules, "ipykernel", ModuleType("ipykernel"))
    flowbench.fit(flow, X, max_epochs=2)
    assert "epoch 2/2: train " in capfd.readouterr().err


def test_numbers_of_numpy_are_numbers():
    x, _ = rows(100)
    flow = flowbench.MAF(2, layers=1, hidden_units=[4])
    options = {"max_epochs": np.int64(1), "batch_size": np.int32(10), "noise": np.float32(0.1)}
    assert len(flowbench.fit(flow, x, **options).history) == 1


def test_a_fitted_density_is_saved_and_loaded(tmp_path):
    x, c = rows(300)
    flow = flowbench.MAF(2, context_features=1, layers=2, hidden_units=[8], input_order="random")
    density = flowbench.fit(flow, x, c, max_epochs=2)
    assert [row["epoch"] for row in density.history] == [0, 1]
    assert np.isfinite(density.history[-1]["val/log_likelihood"])
    path = tmp_path / "new" / "density.ckpt"
    density.save(path)
    again = flowbench.load(path)
    again.save(path)
    assert torch.equal(flowbench.load(path).log_prob(x, c), density.log_prob(x, c))
    assert flowbench.load(path).history == density.history
    assert [file.name for file in path.parent.iterdir()] == ["density.ckpt"]
    with pytest.raises(CheckpointError, match="fitted to rows in memory"):
        open_run(path)


def bounded():
    flow = flowbench.MAF(2, layers=1, hidden_units=[8])
    flow.transform.transforms[-1].univariate.bound = 1e-3
    return flow


@pytest.mark.parametrize(
    ("flow", "sentence"),
    [
        (flowbench.MAF(2, layers=1, activation=torch.relu), "MAF was given activation, a "),
        (bounded(), "MAF was altered after its construction"),
        (type("Mine", (flowbench.MAF,), {})(2, layers=1), "Mine is a class from outside"),
    ],
)
def test_what_a_checkpoint_cannot_describe_is_not_saved(flow, sentence, tmp_path):
    density = flowbench.fit(flow, rows(100)[0], max_epochs=1)
    with pytest.raises(ValueError, match=sentence):
        density.save(tmp_path / "density.ckpt")
    assert not list(tmp_path.iterdir())
