"""How a command ends: the sentence and the exit code."""

import signal

import pytest

from flowbench.exits import INTERRUPTED, MISTAKE, Exit, explained


@pytest.fixture(autouse=True)
def in_the_foreground():
    """Jobs in the background ignore Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def ctrl_c(then):
    """As a library that turns Ctrl-C into an error of its own."""
    try:
        signal.raise_signal(signal.SIGINT)
    except KeyboardInterrupt:
        raise then from None


@pytest.mark.parametrize("error", [Exit("defaults is not a key"), KeyError("defaults")])
def test_ctrl_c_is_told_whatever_a_library_makes_of_it(error, capsys):
    with pytest.raises(Exit) as stop, explained():
        ctrl_c(error)
    assert stop.value.code == INTERRUPTED
    assert capsys.readouterr().err == "interrupted\n"


def test_mistakes_are_told_as_they_are(capsys):
    with pytest.raises(Exit) as stop, explained(ValueError):
        raise ValueError("--seed=-1: expected a whole number")
    assert stop.value.code == MISTAKE
    with pytest.raises(KeyError), explained(ValueError):
        raise KeyError("ours")
    assert capsys.readouterr().err == "--seed=-1: expected a whole number\n"


def test_the_callers_handler_is_restored():
    before = signal.getsignal(signal.SIGINT)
    with explained():
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before
