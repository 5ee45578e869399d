"""A few of the interruptions of `scripts/fuzz.py interruptions`."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

from fuzzing import interruptions


@pytest.mark.fuzz
def test_interrupted_runs_end_in_the_same_numbers():
    outcomes = list(interruptions.campaign(2, seed=5))
    assert [(one.bad, one.command) for one in outcomes if one.bad] == []
    assert len(outcomes) == 2
