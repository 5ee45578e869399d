"""Whole runs on tables that are small, wide in range, bounded or circular."""

import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from run_commands import train

import flowbench
from flowbench.commands import sample

SMALL = ["model.layers=1", "model.hidden_units=[8]", "trainer.max_epochs=2"]
QUIET = ["data=table", "logger=csv", "figures=false"]


def write(folder, **columns):
    path = folder / "t.csv"
    pd.DataFrame(columns).to_csv(path, index=False)
    return [*QUIET, f"data.path={path}"]


@pytest.mark.parametrize("model", ["gaussian", "maf"])
def test_fewer_training_rows_than_a_batch_are_one_batch(tmp_path, model):
    a, b = np.random.default_rng(0).normal(size=(2, 60))
    words = [*write(tmp_path, a=a, b=b), f"model={model}", *(SMALL if model == "maf" else [])]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        _, result = train(tmp_path, *words)
    told = [str(one.message) for one in caught if "every step" in str(one.message)]
    assert result["rows"]["train"] == 48
    assert np.isfinite(result["test"]["log_likelihood"]["data_space"]["mean"])
    sentence = "the training split has 48 rows, fewer than training.batch_size=256: every step"
    assert [text.startswith(sentence) for text in told] == ([True] if model == "maf" else [])


def test_samples_that_overflow_are_left_out_and_told_with_their_column(tmp_path, capsys):
    rng = np.random.default_rng(0)
    words = write(tmp_path, x=rng.normal(size=300), z=10 ** rng.uniform(-150, 150, 300))
    folder, _ = train(tmp_path, *words, "model=gaussian", "data.log_columns=[z]")
    capsys.readouterr()
    sample.main([str(folder), "-n", "30000", "--out", str(tmp_path / "s.csv")])
    printed = capsys.readouterr().out
    written = pd.read_csv(tmp_path / "s.csv")
    assert len(written) < 30000
    assert np.isfinite(written.to_numpy()).all()
    assert written["z"].max() > 1e200  # beyond float32
    assert f"({30000 - len(written)} of 30,000 overflow in 'z' and are left out)" in printed
    density = flowbench.load(folder)
    torch.manual_seed(0)
    with pytest.warns(RuntimeWarning, match="of 30,000 samples overflow in column 'z'"):
        density.sample(30000)


def test_a_bounded_and_a_circular_column_through_a_whole_run(tmp_path):
    rng = np.random.default_rng(0)
    hour = np.mod(rng.normal(23.5, 2, 400), 24)
    share = rng.beta(0.6, 0.8, 400)
    words = write(tmp_path, hour=hour, share=share)
    words += ["data.circular_columns=[hour: 24]", "data.bounds={share: [0, 1]}"]
    folder, result = train(tmp_path, *words, "model=maf", *SMALL)
    density = flowbench.load(folder)
    hours, shares = (np.arange(240) + 0.5) / 10, (np.arange(400) + 0.5) / 400
    grid = np.stack(np.meshgrid(hours, shares, indexing="ij"), axis=-1)
    mass = np.exp(density.log_prob(grid.reshape(-1, 2))).sum() * 24 / 240 / 400
    assert mass == pytest.approx(1, abs=0.02)
    x = density.sample(1000)
    assert ((x[:, 0] >= 0) & (x[:, 0] < 24) & (x[:, 1] > 0) & (x[:, 1] < 1)).all()
    seam = density.log_prob([[1e-6, 0.5], [24 - 1e-6, 0.5], [24.0, 0.5], [48.0, 0.5]])
    torch.testing.assert_close(seam, seam[:1].expand(4), rtol=1e-3, atol=1e-3)
    assert (density.log_prob([[12.0, 0.0], [12.0, 1.5]]) == -torch.inf).all()
    assert result["features"] == 2
