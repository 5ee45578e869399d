"""The CPU time of a run: its own beside others in the process, and of all its attempts."""

import io
import time
from functools import partial
from types import SimpleNamespace

import pytest

from flowbench.training.cpu_time import CpuTime
from flowbench.training.engines.pack import Pack
from flowbench.training.turns import turns

WORK = 0.1


def work(seconds):
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def spent_by(monkeypatch, *functions, together=0.0):
    """The CPU seconds of trainings that take turns, with work for all that ask for a step."""
    found = {}

    def timed(number, function):
        time_of_run = CpuTime()
        function()
        found[number] = time_of_run.seconds

    pack = Pack([(partial(timed, *one), io.StringIO()) for one in enumerate(functions)])
    monkeypatch.setattr(pack, "_together", lambda steps: work(together) or [None] * len(steps))
    assert pack.run() == [None] * len(functions)
    return [found[number] for number in range(len(functions))]


def ask():
    turns().ask(SimpleNamespace(key="equal", alone=lambda *_: None, inputs={}, x=0, context=0))


def test_each_of_several_trainings_in_a_process_has_its_own(monkeypatch):
    def busy():
        ask()
        work(WORK)

    def idle():
        ask()
        ask()

    first, second = spent_by(monkeypatch, busy, idle)
    assert WORK * 0.9 < first < 2 * WORK
    assert second < WORK / 2


def test_what_is_computed_together_is_shared(monkeypatch):
    each = spent_by(monkeypatch, ask, ask, together=WORK)
    assert each == pytest.approx([WORK / 2] * 2, rel=0.4)


@pytest.mark.parametrize("restored", [True, False])
def test_a_resumed_run_adds_those_of_its_checkpoint_if_it_tells(restored):
    resumed = CpuTime()
    if restored:
        resumed.load_state_dict({"seconds": 100.0})
    resumed.on_fit_start(SimpleNamespace(ckpt_path="last.ckpt"), None)
    if restored:
        assert resumed.state_dict()["seconds"] == pytest.approx(resumed.of_all_ranks(), abs=0.1)
        assert 100 <= resumed.of_all_ranks() < 101
    else:
        assert resumed.of_all_ranks() is None
