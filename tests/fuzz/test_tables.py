"""A few of the damaged data files of `scripts/fuzz.py tables`."""

import pytest
from fuzzing import tables


@pytest.mark.fuzz
def test_damaged_data_end_in_a_density_or_in_a_sentence():
    outcomes = list(tables.campaign(8, seed=1))
    assert [(one.bad, one.command) for one in outcomes if one.bad] == []
    assert {one.code for one in outcomes} == {0, 2}
