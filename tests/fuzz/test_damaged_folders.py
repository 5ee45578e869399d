"""A few of the damaged folders of `scripts/fuzz.py folders`."""

import sys
from pathlib import Path

import pytest

from flowbench.figures import figures


@pytest.mark.fuzz
def test_damaged_folders_end_in_results_or_sentences(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "scripts"))
    monkeypatch.setattr(figures, "FIGURES", {})
    monkeypatch.setattr(sys, "argv", ["train.py"])
    from fuzzing import folders

    outcomes = list(folders.campaign(6, seed=0))
    assert [outcome for outcome in outcomes if outcome.bad] == []
    assert len(outcomes) == 6
