"""A tree of real, tiny runs: two models on two data sets, seeds, a sweep, one failed, one cut."""

import itertools
import os

import numpy as np
import pytest
from run_commands import train

from flowbench.figures import figures
from flowbench.report import collect, settings_of

SMALL = ["data.train_rows=500", "data.val_rows=200", "training.batch_size=100", "model.layers=1"]
SMALL += ["model.hidden_units=[8]", "trainer.max_epochs=2"]
SWEEP = itertools.product(("relu", "tanh"), ("true", "false"))
DIVERGES = ["training.learning_rate=1e4", "training.gradient_clip_norm=null"]
DIVERGES += ["model.batch_norm=false", "model.log_scale_bound=null", "trainer.max_epochs=30"]


@pytest.fixture(scope="session")
def tree(tmp_path_factory):
    """The folder `outputs` of all of them; those of a table have figures, and the others none."""
    root = tmp_path_factory.mktemp("report")
    rows = root / "rows.csv"
    values = np.random.default_rng(0).normal(size=(800, 3))
    np.savetxt(rows, values, delimiter=",", header="a,b,c", comments="")

    def start(*overrides):
        train(root, "logger=none", *overrides)

    table = ["data=table", f"data.path={rows}", "data.cache_dir=" + str(root / "cache")]
    start(*table, "model=gaussian")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figures, "FIGURES", {})
        for activation, batch_norm in SWEEP:
            start(*SMALL, f"model.activation={activation}", f"model.batch_norm={batch_norm}")
        start(*SMALL, "seed=1")
        with pytest.raises(ArithmeticError):
            start(*SMALL, *DIVERGES)
        start(*table, *SMALL[2:], "model=realnvp")
    [result] = root.glob("outputs/table/realnvp/*/*/result.json")
    os.unlink(result)
    return root / "outputs"


@pytest.fixture(scope="module")
def runs(tree):
    return collect(tree)


@pytest.fixture(scope="module")
def settings(runs):
    return settings_of(runs)
