"""Runs that start from another one's parameters, and what that one was trained on."""

import shutil

import numpy as np
import pytest
from run_commands import train

from flowbench.config.configuration import ConfigError
from flowbench.run.leakage import leaked_rows

SMALL = ["model.layers=1", "model.hidden_units=[8]", "logger=csv", "figures=false"]
SMALL += ["trainer.max_epochs=1", "training.batch_size=50", "data=table"]


@pytest.fixture
def rows(tmp_path):
    path = tmp_path / "rows.csv"
    x = np.random.default_rng(0).normal(size=(400, 2))
    np.savetxt(path, x, delimiter=",", header="a,b", comments="")
    return path


def trained(folder, path, *overrides):
    return train(folder, *SMALL, f"data.path={path}", *overrides)[0]


def test_rows_that_the_other_run_was_trained_on_are_refused(tmp_path, rows):
    first = trained(tmp_path, rows, "seed=1")
    with pytest.raises(ConfigError, match=r"trained on \d+ of the 40 test rows.*data\.seed=1"):
        trained(tmp_path, rows, "seed=2", f"init_from='{first}'")


@pytest.mark.parametrize("more", [["seed=1"], ["seed=2", "data.seed=1"]])
def test_the_same_split_is_fine(tmp_path, rows, more, recwarn):
    first = trained(tmp_path, rows, "seed=1")
    trained(tmp_path, rows, *more, f"init_from='{first}'")
    assert not [one for one in recwarn if "init_from" in str(one.message)]


def test_another_split_by_fractions_is_told_as_such(tmp_path, rows):
    first = trained(tmp_path, rows)
    with pytest.raises(ConfigError, match=r"of the 80 val rows.*data\.fractions=\[0\.8"):
        trained(tmp_path, rows, "data.fractions=[0.7,0.2,0.1]", f"init_from='{first}'")


def test_generated_rows_differ_by_seed_and_do_not_leak(tmp_path):
    toy = ["data=toy", "data.train_rows=500", "data.val_rows=50"]
    first = train(tmp_path, *SMALL, *toy)[0]
    train(tmp_path, *SMALL, *toy, "seed=1", f"init_from='{first}'")


def test_where_it_cannot_be_checked_this_is_told(tmp_path, rows):
    first = trained(tmp_path, rows)
    rows.rename(tmp_path / "others.csv")
    shutil.rmtree(tmp_path / "cache")
    with pytest.warns(UserWarning, match="init_from=.*: not checked whether it was trained on"):
        trained(tmp_path, tmp_path / "others.csv", f"init_from='{first}'")


def test_repeated_rows_leak_only_if_they_are_not_in_training_here():
    x = np.repeat(np.arange(6.0), 2)[:, None]

    class Split:
        def __init__(self, train, test):
            self.x = {"train": x[train], "test": x[test]}

    ours = Split(slice(0, 9), slice(9, 12))  # 4 is in both
    assert leaked_rows(ours, Split(slice(0, 12), slice(0, 1)), "test") == 2
    assert leaked_rows(ours, Split(slice(0, 9), slice(0, 1)), "test") == 0
