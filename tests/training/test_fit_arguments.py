"""What `flowbench.fit` is given: options, validation rows, flows; and what it refuses."""

import pty
import sys
import termios
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
import torch
from rows_to_fit import rows
from torch import nn

import flowbench
from flowbench.data import DataError
from flowbench.flows.peers import Zuko

X = rows(100)[0]
DEPENDENT = np.stack([rows(100)[0][:, 0], X[:, 1], 32 + 1.8 * X[:, 0]], axis=1)


@pytest.mark.parametrize(
    ("x", "context", "sentence"),
    [
        (np.zeros(5), None, r"x has shape \(5,\), expected \[rows, features\]; x\[:, None\] has"),
        (torch.utils.data.DataLoader([1.0]), None, "x is a DataLoader, expected a tensor, array"),
        (np.array([["a"]]), None, "x holds <U1, expected numbers"),
        (np.full((5, 2), np.nan), None, "every value must be finite"),
        (np.random.rand(5, 2), np.random.rand(4, 1), "x has 5 rows and context 4"),
        (np.ones((50, 2)), None, r"'x\[:, 0\]' is constant \(1\)"),
        (DEPENDENT, None, r"'x\[:, 2\]' = 32 \+ 1.8 · 'x\[:, 0\]'.*leave out such columns"),
        (DEPENDENT[:, 2:], DEPENDENT[:, :1], r"'x\[:, 0\]' = 32 \+ 1.8 · 'context\[:, 0\]'"),
        (np.random.rand(3, 2), None, "holds out 0"),
    ],
)
def test_mistakes_end_in_one_sentence(x, context, sentence):
    sizes = [0 if getattr(one, "ndim", 0) < 2 else one.shape[1] for one in (x, context)]
    flow = flowbench.MAF(sizes[0] or 2, context_features=sizes[1], layers=1)
    with pytest.raises(DataError, match=sentence):
        flowbench.fit(flow, x, context)


@pytest.mark.parametrize(
    ("columns", "context_columns", "sentence"),
    [
        (3, 1, "x has 3 columns, but the flow has features=2"),
        (2, 0, "no context, but the flow has context_features=1"),
        (2, 2, "context has 2 columns, but the flow has context_features=1"),
        (
            1,
            2,
            "x has 1 column, but the flow has features=2; context has 2 columns, but the flow has "
            "context_features=1",
        ),
    ],
)
def test_rows_of_another_size_than_the_flow(columns, context_columns, sentence):
    context = np.random.rand(50, context_columns) if context_columns else None
    flow = flowbench.MAF(2, context_features=1, layers=1)
    with pytest.raises(ValueError) as caught:
        flowbench.fit(flow, np.random.rand(50, columns), context)
    assert str(caught.value) == sentence


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
        (
            {"schedule": "cosin"},
            "schedule='cosin' is unknown: expected 'constant', 'cosine' or a mapping; did you "
            "mean 'cosine'?",
        ),
        ({"ema": 2.0}, "ema=2.0: expected a number above 0 and below 1 or None"),
        ({"patience": -1}, "patience=-1: expected an integer at least 1 or None"),
        ({"max_epochs": 0}, "max_epochs=0: expected an integer at least 1"),
        ({"max_epochs": None}, "max_epochs=None: expected an integer at least 1"),
        (
            {"accelerator": "cpus"},
            "accelerator='cpus' is unknown: expected 'auto', 'cpu', 'gpu', 'cuda' or 'mps'; did "
            "you mean 'cpu' or 'mps'?",
        ),
        pytest.param(
            {"accelerator": "cuda"},
            "accelerator='cuda': PyTorch finds no GPU on this machine; expected cpu, or auto for "
            "a GPU where there is one",
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU"),
        ),
        ({"seed": -1}, "seed=-1: expected an integer at least 0 and below 4294967296"),
        ({"progress": 1}, "progress=1: expected True or False"),
        ({"standardized": "no"}, "standardized='no': expected True or False"),
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
        (None, X[:9, :1], "validation x has 1 column, expected the 2 of x"),
        (
            None,
            X[:9] * np.nan,
            r"validation x: every value must be finite, but row 1, column 'x\[",
        ),
        (None, "0.1", "validation x holds <U3, expected numbers"),
        (None, None, "validation x holds object, expected numbers"),
    ],
)
def test_mistakes_in_validation_rows(context, validation, sentence):
    features = 0 if context is None else 1
    flow = flowbench.MAF(2, context_features=features, layers=1, hidden_units=[4])
    with pytest.raises(DataError, match=sentence):
        flowbench.fit(flow, X, context, validation=validation)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_numbers_of_16_bits_are_refused(dtype):
    with pytest.raises(ValueError, match=f"the flow holds {dtype}, expected torch.float32 or"):
        flowbench.fit(flowbench.MAF(2, layers=1).to(dtype), rows(100)[0])


def test_what_is_no_flow_is_refused():
    with pytest.raises(TypeError) as caught:
        flowbench.fit(nn.Linear(2, 2), rows(100)[0])
    expected = "expected a flowbench.Flow"
    assert str(caught.value) == f"flow is a torch.nn.modules.linear.Linear, {expected}"
    with pytest.raises(TypeError, match=r"flow is the class MAF, .* made by it: MAF\(features\)"):
        flowbench.fit(flowbench.MAF, rows(100)[0])


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


def test_noise_on_values_of_0_and_1_is_refused_by_its_name():
    bits = np.random.default_rng(0).integers(0, 2, (50, 2))
    flow = flowbench.MADE(2, family="bernoulli", hidden_units=[4])
    with pytest.raises(ValueError, match=r"noise=0.1 is added to values that must be 0 or 1"):
        flowbench.fit(flow, bits, standardized=False, noise=0.1)
