"""Trainings that compute their steps together end as they would alone."""

import io
import random
import warnings
from functools import partial

import numpy as np
import pytest
import torch

import flowbench
from flowbench.flows import MAF, RealNVP
from flowbench.training.engines import compiled
from flowbench.training.engines.pack import Pack
from flowbench.training.turns import Turns, turns

OPTIONS = {"batch_size": 50, "max_epochs": 4, "progress": False, "learning_rate": 0.01}
X = torch.randn(310, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) ** 3
SIZES = {"hidden_units": [6], "layers": 1}
FLOWS = {
    "orders": [
        (partial(MAF, 3, input_order="random", seed=seed, **SIZES), {"seed": seed, "noise": 0.1})
        for seed in range(3)
    ],
    "optimisers": [
        (partial(RealNVP, 3, batch_norm=False, layers=2, hidden_units=[4]), options)
        for options in (
            {"weight_decay": 0.1, "ema": 0.9},
            {"learning_rate": 1e-3, "schedule": "cosine", "gradient_clip_norm": 0.1},
            {"optimizer": {"_target_": "torch.optim.SGD"}, "max_epochs": 2},
        )
    ],
    "lengths": [
        (partial(MAF, 3, univariate="spline", batch_norm=False, **SIZES), {"max_epochs": epochs})
        for epochs in (2, 3)
    ],
}


@pytest.fixture(autouse=True)
def cheaply(monkeypatch):
    """The same programs, which are not compiled."""
    monkeypatch.setattr(compiled, "compile_step", lambda function, **_: function)


def trainings(name, engine, found):
    """Functions that train, each with a flow of its own."""

    def train(number, make, options):
        torch.manual_seed(number)
        flow = make().double()
        found[number] = flowbench.fit(flow, X, engine=engine, **(OPTIONS | options))

    return [
        partial(train, number, make, options) for number, (make, options) in enumerate(FLOWS[name])
    ]


@pytest.mark.parametrize("name", FLOWS)
def test_each_training_of_a_pack_is_its_own(name, capsys):
    alone, packed = {}, {}
    for train in trainings(name, "plain", alone):
        train()
    pack = Pack([(train, io.StringIO()) for train in trainings(name, "compiled", packed)])
    assert pack.run() == [None] * len(FLOWS[name])
    assert pack.programs
    assert not pack.failed
    for number, density in alone.items():
        for key, value in density.flow.state_dict().items():
            other = packed[number].flow.state_dict()[key]
            torch.testing.assert_close(other, value, rtol=1e-8, atol=1e-8)
        assert len(packed[number].history) == len(density.history)
    assert capsys.readouterr().err == ""


def test_one_that_fails_leaves_the_others():
    found = {}
    first, *others = trainings("lengths", "compiled", found)

    def fail():
        raise ValueError("no data")

    *fine, error = Pack([(one, io.StringIO()) for one in (first, *others, fail)]).run()
    assert fine == [None, None]
    assert str(error) == "no data"
    assert len(found) == 2


def test_steps_of_other_programs_are_not_mixed(monkeypatch):
    bounds = [(partial(MAF, 3, log_scale_bound=bound, **SIZES), {}) for bound in (1, 5)]
    monkeypatch.setitem(FLOWS, "bounds", bounds)
    alone, found = {}, {}
    for train in trainings("bounds", "plain", alone):
        train()
    Pack([(train, io.StringIO()) for train in trainings("bounds", "compiled", found)]).run()
    for number, density in alone.items():
        for key, value in density.flow.state_dict().items():
            torch.testing.assert_close(found[number].flow.state_dict()[key], value)


def test_what_cannot_be_packed_is_computed_one_by_one(capsys, monkeypatch):
    dropping = partial(MAF, 3, dropout=0.5, **SIZES)
    monkeypatch.setitem(FLOWS, "dropout", [(dropping, {"max_epochs": 1})] * 2)
    alone, found = {}, {}
    for train in trainings("dropout", "plain", alone):
        train()
    pack = Pack([(train, io.StringIO()) for train in trainings("dropout", "compiled", found)])
    assert pack.run() == [None, None]
    assert len(pack.failed) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("steps one by one, not packed: ")
    for number, density in alone.items():
        for key, value in density.flow.state_dict().items():
            torch.testing.assert_close(found[number].flow.state_dict()[key], value)


def test_global_states_are_each_ones_own():
    def draws(seed, drawn):
        torch.manual_seed(seed)
        np.random.seed(seed)
        random.seed(seed)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for _ in range(3):
                if member := turns():
                    member.ask(None)
                drawn.append((torch.rand(1).item(), np.random.rand(), random.random()))
                with pytest.raises(UserWarning):
                    warnings.warn("kept", stacklevel=1)
        print(seed)

    alone, together, told = [[], []], [[], []], [io.StringIO(), io.StringIO()]
    for seed in range(2):
        draws(seed, alone[seed])
    before = torch.get_rng_state()
    members = [Turns(partial(draws, k, together[k]), told[k], of=2) for k in range(2)]
    for member in members:
        member.start()
    while not all(member.ended for member in members):
        for member in members:
            member.go_on()
    assert alone == together
    assert [one.getvalue() for one in told] == ["0\n", "1\n"]
    assert torch.equal(torch.get_rng_state(), before)
