"""The time of a race, by a clock that goes on only when something is trained or scored."""

import json
import os
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from flowbench.data.arrays import Arrays, Pair, held_out
from flowbench.run.auto import race as race_module
from flowbench.run.auto.fitting import _settings
from flowbench.run.auto.folds import folds_of
from flowbench.run.auto.members import Members
from flowbench.run.auto.portfolio import portfolio
from flowbench.run.auto.race import Race
from flowbench.run.folder import RunFolder
from flowbench.training.interrupted import Interrupted


class Machine:
    """A clock, and how long things take: seconds of a fit, beside a training, of scores."""

    def __init__(self, *, fit=0.1, beside=0.1, scores=0.01):
        self.now, self.fit, self.beside, self.scores = 1000.0, fit, beside, scores
        self.trained, self.better, self.slow = {}, {}, {}

    def __call__(self):
        return self.now


def simulated(machine):
    class Simulated(Members):
        def train(self, name, seconds, fold):
            if self.entries[name].baseline:
                machine.now += machine.fit
            else:
                machine.now += machine.slow.get(name, machine.beside)
                machine.now += seconds - machine.trained.get((name, fold), 0)
            machine.trained[name, fold] = seconds
            self.terms.pop((name, fold), None)
            return SimpleNamespace(history=[{}], best_epoch=0)

        def flow(self, name, fold):
            machine.now += machine.scores * (300 if name in machine.slow else 1)
            return machine.better.get(name, 0.0)

    return Simulated


@pytest.fixture
def contest(tmp_path, monkeypatch):
    def scored(flow, rows):
        return flow + torch.linspace(-1, 1, len(rows)).double()

    monkeypatch.setattr("flowbench.run.auto.members.log_likelihoods", scored)

    def contest(machine, *, seconds=60.0, several=True, names=None):
        monkeypatch.setattr(race_module, "Members", simulated(machine))
        rows = Pair.of(np.random.default_rng(0).normal(size=(500, 2)), None)
        data = Arrays(held_out(rows, 0.1, seed=0), standardized=True, batch_size=64, seed=0)
        data.setup()
        data.split_by_chance = several
        entries = [one for one in portfolio(400, 2) if names is None or one.name in names]
        settings = _settings({"name": "auto"}, str(tmp_path), seed=0, accelerator="cpu")
        told = {"seconds": seconds, "say": lambda _: None, "clock": machine}
        return Race(entries, folds_of(data), settings, RunFolder(tmp_path), **told)

    return contest


MACHINES = {
    "quick": {},
    "loaded": {"fit": 0.5, "beside": 3.0, "scores": 0.2},
    "slow fits": {"fit": 4.0},
    "slow beside training": {"beside": 8.0},
    "slow scores": {"scores": 0.3},
    "all slow": {"fit": 2.0, "beside": 2.0, "scores": 0.25},
}


@pytest.mark.parametrize("seconds", [30.0, 60.0, 600.0])
@pytest.mark.parametrize("several", [True, False], ids=["folds", "one fold"])
@pytest.mark.parametrize("kind", MACHINES)
def test_a_race_leaves_time_for_its_scores(contest, kind, several, seconds):
    machine = Machine(**MACHINES[kind])
    race = contest(machine, seconds=seconds, several=several)
    race.run()
    names, folds = race.chosen()
    scoring = len(names[:8]) + sum(race.entries[name].baseline for name in names)
    ends = machine.now + folds * machine.scores * scoring - 1000
    assert 0.5 * seconds < ends <= 1.1 * seconds
    assert names


def test_flows_that_were_slow_to_start_do_not_start_without_time(contest):
    machine = Machine(beside=20.0)
    race = contest(machine)
    race.run()
    waited = [one for one in race.standings.values() if one.why == "there was no time for it"]
    assert len(waited) >= 3
    assert machine.now < 1000 + 66


def test_one_slow_flow_keeps_no_other_from_starting(contest):
    machine = Machine()
    machine.slow, machine.better = {"made_mog": 20.0}, {"made_mog": -3.0}  # the first
    race = contest(machine, seconds=120.0)
    race.run()
    waited = [name for name, one in race.standings.items() if "no time" in one.why]
    assert not [name for name in waited if not race.entries[name].baseline]
    assert machine.now < 1000 + 132


def test_finalists_train_on_other_folds_for_as_long_as_on_the_first(contest):
    machine = Machine(beside=1.0)
    race = contest(machine)
    race.run()
    best = race.finalists[0]
    assert race.standings[best].folds == 5
    own = [machine.trained[best, fold] for fold in range(5)]
    assert min(own[1:]) > 0.8 * own[0]


def test_a_flow_that_is_far_ahead_is_chosen_though_it_had_no_time_for_all_folds(contest):
    machine = Machine(fit=0.01, beside=9.0)
    machine.better = {"maf": 2.0}
    race = contest(machine, seconds=40.0, names=("gaussian", "maf"))
    race.run()
    names, folds = race.chosen()
    assert names[0] == "maf"
    assert folds == race.standings["maf"].folds < 5
    assert race.standings["gaussian"].folds == 5
    machine.better["maf"] = -0.01
    race.members.terms.clear()
    assert race.chosen()[0][0] == "gaussian"


@pytest.mark.parametrize("place", range(1, 30, 4))
def test_an_interrupted_race_trains_nothing_again_and_ends_in_time(contest, place, monkeypatch):
    machine = Machine()
    advance, turns = Race._advance, []

    def stopped(self, name, seconds, fold=0):
        turns.append((name, fold))
        if len(turns) == place:
            raise Interrupted(15, code=75)
        advance(self, name, seconds, fold)

    monkeypatch.setattr(Race, "_advance", stopped)
    first = contest(machine)
    with pytest.raises(Interrupted):
        first.run()
    before, spent = list(turns), machine.now - 1000
    machine.now += 500  # nobody trains
    second = contest(machine)
    assert second.budget.spent() == pytest.approx(spent)
    second.run()
    after = turns[len(before) :]
    fitted = [turn for turn in after if second.entries[turn[0]].baseline]
    assert not set(fitted) & set(before[:-1])
    if first.finalists:  # what was decided stays so
        assert second.finalists == first.finalists
        assert not set(after) & set(before[:-1])
    assert machine.now - 1500 <= 66


def test_time_of_a_killed_process_counts_until_its_newest_checkpoint(contest, tmp_path):
    race = contest(Machine())
    race._write()
    written = race.file.stat().st_mtime
    known = json.loads(race.file.read_text())["seconds"]
    file = tmp_path / "race" / "maf" / "fold=0" / "checkpoints" / "last.ckpt"
    file.parent.mkdir(parents=True)
    file.touch()
    os.utime(file, (written + 25, written + 25))
    assert contest(Machine()).budget.spent() == pytest.approx(known + 25)
