"""Whole runs on a table with weights and missing cells: trained, scored, drawn, compared."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from run_commands import composed, script, train

import flowbench
from flowbench.config.configuration import check
from flowbench.data import DataError
from flowbench.evaluation import Score, paired_difference
from flowbench.report import collect, settings_of
from flowbench.report.leaders import behind_leaders
from flowbench.run.run import run


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("survey")
    rng = np.random.default_rng(0)
    x = rng.normal(size=(600, 3)) @ rng.normal(size=(3, 3)) + [0, 5, 100]
    rows = pd.DataFrame(x, columns=["a", "b", "c"])
    rows = rows.mask(rng.random(x.shape) < 0.1).assign(w=rng.integers(0, 4, 600))
    rows.to_csv(folder / "rows.csv", index=False)
    return folder


def options(folder, model):
    return [
        f"model={model}",
        "data=table",
        "logger=csv",
        f"data.path={folder / 'rows.csv'}",
        "data.weight_column=w",
        "data.missing=marginalize",
    ]


@pytest.fixture(scope="module")
def runs(folder):
    return {
        model: train(folder, *options(folder, model), *own)
        for model, own in {"gaussian": [], "gaussian_mixture": ["model.components=2"]}.items()
    }


def test_means_are_weighted_and_marginal(folder, runs):
    for path, result in runs.values():
        scores, weight = (np.load(path / f"test_{name}.npy") for name in ("scores", "weights"))
        found = result["test"]["log_likelihood"]["data_space"]
        share = weight / weight.sum()
        mean = share @ scores
        assert found["mean"] == pytest.approx(mean)
        error = 2 * np.sqrt((share**2 * (scores - mean) ** 2).sum())
        assert found["two_standard_errors"] == pytest.approx(error)
        assert found["n"] == len(scores) == result["rows"]["test"]
        assert result["calibration"]["rows"] < len(scores)
        assert (path / "figures" / "pairs.png").is_file()


def test_a_file_is_scored_by_row_and_its_mean_is_weighted(folder, runs, capsys):
    path, _ = runs["gaussian_mixture"]
    rows, density = pd.read_csv(folder / "rows.csv"), flowbench.load(path)
    script("score")(
        [str(path), "--data", str(folder / "rows.csv"), "--out", str(folder / "s.csv")]
    )
    found = pd.read_csv(folder / "s.csv")["log_density"].to_numpy()
    np.testing.assert_allclose(found, density.log_prob(rows[["a", "b", "c"]]), rtol=1e-5)
    known = rows.w > 0
    score = Score.of(torch.from_numpy(found[known]), weight=torch.tensor(rows.w[known].to_numpy()))
    assert f"{score.text()}, weighted by 'w', over {known.sum()} rows" in capsys.readouterr().out


def test_runs_are_compared_by_weighted_differences(folder, runs):
    paths = [str(path) for path, _ in runs.values()]
    script("evaluate")([*paths, "--paired", "--json", str(folder / "both.json")])
    paired = json.loads((folder / "both.json").read_text())["paired"]
    scores = [torch.from_numpy(np.load(f"{path}/test_scores.npy")) for path in paths]
    weight = torch.from_numpy(np.load(f"{paths[0]}/test_weights.npy"))
    assert paired == pytest.approx(paired_difference(*scores, weight))
    found = behind_leaders(settings_of(collect(folder / "outputs")))
    behind = [one for one in found if one is not None and one.mean is not None]
    assert abs(behind[0].mean) == pytest.approx(abs(paired["mean"]))
    assert behind[0].two_standard_errors == pytest.approx(paired["two_standard_errors"])
    assert not behind[0].unpaired


def test_another_model_is_told_the_two_that_can(folder, tmp_path):
    config = composed(
        *options(folder, "maf"), f"paths.output={tmp_path}", f"paths.cache={folder / 'cache'}"
    )
    with pytest.raises(DataError, match=r"model=gaussian or model=gaussian_mixture, or data\.mis"):
        run(check(config), tmp_path / "run")
