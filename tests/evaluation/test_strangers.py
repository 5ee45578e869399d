"""A run of a stranger: its configuration says neither where to write nor what to download."""

import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from run_commands import script, train

import flowbench
from flowbench.checkpoint import CheckpointError
from flowbench.data import DataError
from flowbench.data.download import originals
from flowbench.evaluation.runs import Run, open_run
from flowbench.stored import to_write

SMALL = ["data=table", "model=gaussian", "logger=none", "training.batch_size=50"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stranger")
    pd.DataFrame(np.random.default_rng(0).normal(size=(300, 2)), columns=["a", "b"]).to_csv(
        folder / "rows.csv", index=False
    )
    path, _ = train(folder, *SMALL, f"data.path={folder / 'rows.csv'}")
    return path


@pytest.fixture
def of_a_stranger(trained, tmp_path, monkeypatch):
    """A copy of the run whose `data` options are others, with a digest of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FLOWBENCH_CACHE", str(tmp_path / "cache"))

    def edited(**data):
        folder = tmp_path / "run"
        shutil.copytree(trained, folder)
        path = folder / "checkpoints" / "best.ckpt"
        whole = torch.load(path, weights_only=True)
        del whole["digest"]
        config = whole["flowbench"]["config"]
        config["data"] = data if "_target_" in data else config["data"] | data
        torch.save(to_write(whole), path)
        return folder

    return edited


def test_only_the_cache_of_the_caller_is_written(of_a_stranger, tmp_path):
    run = of_a_stranger(cache_dir=str(tmp_path / "elsewhere"))
    script("evaluate")([str(run)])
    assert {path.name for path in tmp_path.iterdir()} == {"run", "cache"}
    script("evaluate")([str(run), "--cache", str(tmp_path / "other")])
    assert {path.name for path in tmp_path.iterdir()} == {"run", "cache", "other"}


def test_nothing_is_downloaded_unless_the_caller_says_so(of_a_stranger, monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(originals, "download", lambda *names, **_: asked.append(names))
    power = {"_target_": "flowbench.data.Power", "data_dir": str(tmp_path / "data")}
    run = of_a_stranger(**power, cache_dir="c")
    with pytest.raises(DataError, match=r"power: the file .* does not exist"):
        open_run(run)
    assert not asked
    with pytest.raises(DataError, match="does not exist"):
        open_run(run, download=True)
    assert asked == [("power",)]
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    "target",
    [
        "os.mkdir",
        "flowbench.data.conversion.shutil.rmtree",
        "flowbench.run.folder.RunFolder",
        "flowbench.flows.MAF",
        "flowbench.data.download.download.download",
    ],
)
def test_only_data_modules_of_flowbench_are_built(of_a_stranger, target):
    run = of_a_stranger(_target_=target, path="MADE", cache_dir="MADE")
    with pytest.raises(CheckpointError, match=f"data module is built by {target}, from outside"):
        open_run(run)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ({"_target_": "flowbench.data.Nothing"}, "no such data module"),
        ({"of_another_version": 1}, "module cannot be built: of_another_version is not an"),
        ({"fractions": "x"}, "data.fractions='x'"),
        ({"path": "/dev/zero"}, "/dev/zero is expected but does not exist"),
    ],
)
def test_options_that_do_not_fit_are_one_sentence(of_a_stranger, data, sentence):
    with pytest.raises((CheckpointError, DataError), match=sentence) as caught:
        open_run(of_a_stranger(**data))
    assert len(str(caught.value).splitlines()) == 1


def test_samples_need_no_data_where_there_is_no_context(of_a_stranger, tmp_path):
    run = of_a_stranger(path=str(tmp_path / "gone.csv"))
    script("sample")([str(run), "-n", "7", "--out", str(tmp_path / "x.csv")])
    drawn = pd.read_csv(tmp_path / "x.csv")
    assert list(drawn) == ["a", "b"]
    assert len(drawn) == 7
    assert not (tmp_path / "cache").exists()


def test_samples_of_a_density_that_was_fitted_in_memory(tmp_path):
    x = np.random.default_rng(0).normal(size=(200, 2))
    flow = flowbench.MAF(2, layers=1, hidden_units=[4])
    flowbench.fit(flow, pd.DataFrame(x, columns=["u", "v"]), max_epochs=1).save(
        tmp_path / "a.ckpt"
    )
    script("sample")([str(tmp_path / "a.ckpt"), "-n", "3", "--out", str(tmp_path / "x.csv")])
    assert list(pd.read_csv(tmp_path / "x.csv")) == ["u", "v"]
    assert Run.of(tmp_path / "a.ckpt").kind is None
