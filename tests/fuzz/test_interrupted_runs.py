"""A few of the interruptions of `scripts/fuzz.py interruptions`."""

import signal

import pytest
from fuzzing import interruptions
from fuzzing.attempts import attempt

from flowbench.run import main as command


@pytest.mark.fuzz
def test_interrupted_runs_end_in_the_same_numbers():
    outcomes = list(interruptions.campaign(2, seed=5))
    assert [(one.bad, one.command) for one in outcomes if one.bad] == []
    assert len(outcomes) == 2


@pytest.mark.fuzz
def test_ctrl_c_while_the_options_are_read_is_no_error(tmp_path, monkeypatch):
    monkeypatch.setattr(command, "complete_files", lambda: signal.raise_signal(signal.SIGINT))
    ended = attempt(command.main, ["train.py"], tmp_path)
    assert (ended.code, ended.bad) == (130, ""), ended.told
