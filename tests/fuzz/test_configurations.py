"""A short campaign of `scripts/fuzz.py`: commands end in results or in sentences."""

import sys

import pytest
from fuzzing import configurations
from fuzzing.attempts import attempt


@pytest.mark.fuzz
def test_commands_end_in_results_or_in_sentences():
    outcomes = list(configurations.campaign(16, seed=7, trained=0.1))
    assert [(one.bad, one.command) for one in outcomes if one.bad] == []
    assert {one.code for one in outcomes} >= {0, 2}


@pytest.mark.fuzz
@pytest.mark.parametrize(
    ("main", "bad"),
    [
        (lambda: print("done"), ""),
        (lambda: None, "nothing was told"),
        (lambda: {}[0], "a traceback"),
        (lambda: sys.exit(3), "exit code 3"),
    ],
)
def test_a_bad_end_is_seen(tmp_path, main, bad):
    assert attempt(main, ["train.py"], tmp_path).bad == bad
