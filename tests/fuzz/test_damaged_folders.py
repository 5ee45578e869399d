"""A few of the damaged folders of `scripts/fuzz.py folders`."""

import sys

import pytest
from fuzzing import folders

from flowbench.figures import figures


@pytest.mark.fuzz
def test_damaged_folders_end_in_results_or_sentences(monkeypatch):
    monkeypatch.setattr(figures, "FIGURES", {})
    monkeypatch.setattr(sys, "argv", ["train.py"])
    outcomes = list(folders.campaign(6, seed=0))
    assert [outcome for outcome in outcomes if outcome.bad] == []
    assert len(outcomes) == 6
