"""Every cell of the published tables: its hyper-parameters, and the value to stand beside ours."""

import csv
import math
from importlib.resources import files

import numpy as np
import pytest
from run_commands import composed, train

from flowbench.config.configuration import ConfigError, check, resolved
from flowbench.data import (
    Bsds300,
    Cifar10,
    Gas,
    Hepmass,
    ImageDataModule,
    Miniboone,
    Mnist,
    Power,
)
from flowbench.evaluation.published import published, table_name
from flowbench.report import collect, settings_of
from flowbench.report.results import results_table
from flowbench.run.deviations import deviations
from flowbench.run.identity import run_hash
from flowbench.run.result import summary

SETS = {
    "power": Power, "gas": Gas, "hepmass": Hepmass, "miniboone": Miniboone, "bsds300": Bsds300,
    "mnist": Mnist, "cifar10": Cifar10,
}  # fmt: skip
MAF_PAPER = {
    "Gaussian": ["model=gaussian"],
    "MADE": ["model=made"],
    "MADE MoG": ["model=made_mog"],
    "Real NVP (5)": ["model=realnvp"],
    "Real NVP (10)": ["model=realnvp", "model.layers=10"],
    "MAF (5)": ["model=maf"],
    "MAF (10)": ["model=maf", "model.layers=10"],
    "MAF MoG (5)": ["model=maf_mog"],
}
NSF_PAPER = {
    "MAF (re-run, residual MADE + LU)": "maf_strong",
    "RQ-NSF (AR)": "maf_spline",
    "RQ-NSF (C)": "realnvp_spline",
}
WIDTHS = {"power": 100, "gas": 100, "hepmass": 512, "miniboone": 512, "bsds300": 512,
          "mnist": 1024, "cifar10": 1024}  # fmt: skip
# Batch, epochs, learning rate, width, hidden layers, dropout, bins, steps of the paper.
NSF_SETTINGS = {
    "power": (512, 123, 5e-4, 256, 5, 0.0, 8, 400_000),
    "gas": (512, 240, 5e-4, 256, 5, 0.1, 8, 400_000),
    "hepmass": (512, 650, 5e-4, 256, 5, 0.2, 8, 400_000),
    "miniboone": (64, 541, 3e-4, 64, 3, 0.2, 4, 250_000),
}


def rows_of(source):
    with (files("flowbench.evaluation") / "published.csv").open(encoding="utf-8") as lines:
        return [row for row in csv.DictReader(lines) if row["source"].startswith(source)]


def cell(protocol, model, row):
    data, _, conditional = row["data"].partition(" ")
    context = ["data.label_context=true"] if conditional else []
    return resolved(composed(f"protocol={protocol}", f"data={data}", *model, *context))


def assert_published(config, row):
    found = published(**config["published"], data=table_name(config["data"]))
    assert found["source"] == row["source"]
    assert found["mean"] == float(row["log_likelihood"])
    assert found["two_standard_errors"] == float(row["two_standard_errors"])


def name(row):
    return f"{row['model']}-{row['data']}"


def test_the_tables_are_complete():
    assert len(rows_of("Papamakarios et al. 2017")) == 8 * (5 + 4)
    assert {row["model"] for row in rows_of("Papamakarios et al. 2017")} == set(MAF_PAPER)


@pytest.mark.parametrize("row", rows_of("Papamakarios et al. 2017"), ids=name)
def test_a_cell_of_the_maf_paper(row):
    config = cell("maf_paper", MAF_PAPER[row["model"]], row)
    assert_published(config, row)
    data, model = config["data"]["name"], config["model"]
    assert config["training"] == {
        "batch_size": 100,
        "engine": "auto",
        "learning_rate": 1e-4 if row["model"].startswith(("MAF", "Real")) else 1e-3,
        "weight_decay": 1e-6,
        "noise": 0.0,
        "ema": None,
        "gradient_clip_norm": None,
        "optimizer": None,
        "schedule": "constant",
        "patience": 30,
    }
    if row["model"] != "Gaussian":
        assert model["hidden_units"] == [WIDTHS[data]] * 2
    if row["model"].startswith("M"):
        assert model["activation"] == ("tanh" if data == "gas" else "relu")
        assert model["hidden_degrees"] == ("random" if data == "cifar10" else "equal")
        assert model["input_order"] == "left-to-right"
    if "layers" in model:
        assert model["batch_norm"]
        assert model["batch_norm_statistics"] == "dataset"
        assert model["layers"] == int(row["model"].partition("(")[2].rstrip(")"))
    if row["model"].startswith("Real"):
        assert (model["activation"], model["scale_activation"]) == ("relu", "tanh")
        assert model["networks"] == "separate"
    if "MoG" in row["model"]:
        assert model["components"] == 10
    if issubclass(SETS[data], ImageDataModule):
        assert config["data"]["dequantize"] == "once"
        assert config["data"]["alpha"] == (0.05 if data == "cifar10" else 1e-6)
        assert config["data"].get("flips", True)


@pytest.mark.parametrize("data", NSF_SETTINGS)
@pytest.mark.parametrize("model", NSF_PAPER)
def test_a_cell_of_the_nsf_paper(model, data):
    [row] = [row for row in rows_of("Durkan") if (row["model"], row["data"]) == (model, data)]
    config = cell("nsf_paper", [f"model={NSF_PAPER[model]}"], row)
    assert_published(config, row)
    batch, epochs, rate, width, layers, dropout, bins, steps = NSF_SETTINGS[data]
    assert config["training"] == {
        "batch_size": batch,
        "engine": "auto",
        "learning_rate": rate,
        "weight_decay": 0.0,
        "noise": 0.0,
        "ema": None,
        "gradient_clip_norm": 5.0,
        "optimizer": None,
        "schedule": "cosine",
        "patience": None,
    }
    assert config["model"]["hidden_units"] == [width] * layers
    assert config["model"]["layers"] == 10
    assert config["model"]["univariate"] == "affine" or config["model"]["bins"] == bins
    assert config["model"].get("dropout", dropout) == dropout
    rows = SETS[data].expected["train"][0]
    assert (
        config["trainer"]["max_epochs"] == epochs == round(steps / math.floor(rows / batch + 0.5))
    )


MAF_MNIST = ["protocol=maf_paper", "model=maf", "data=mnist"]
DEVIATIONS = [
    (MAF_MNIST, []),
    ([*MAF_MNIST, "model.layers=10", "data.label_context=true", "data.path=elsewhere"], []),
    ([*MAF_MNIST, "training.batch_size=100", "trainer=cpu", "seed=3", "logger=csv"], []),
    ([*MAF_MNIST, "trainer.max_epochs=20"], ["trainer.max_epochs=20 (protocol: 10000)"]),
    ([*MAF_MNIST, "training.batch_size=200"], ["training.batch_size=200 (protocol: 100)"]),
    ([*MAF_MNIST, "+trainer.deterministic=true"],
     ["trainer.deterministic=true (protocol: not set)"]),
    (["protocol=nsf_paper", "model=maf_spline", "data=power", "model.layers=3"],
     ["model.layers=3 (protocol: 10)"]),
    (["model=maf", "data=mnist", "trainer.max_epochs=20"], []),
    (["protocol=maf_paper", "model=histogram", "data=mnist", "published=null"],
     ["histogram on mnist: the protocol maf_paper has no such row"]),
]  # fmt: skip


@pytest.mark.parametrize(("words", "told"), DEVIATIONS)
def test_what_is_not_as_the_protocol_says_is_told(words, told):
    assert deviations(check(composed(*words))) == told


def test_a_short_run_under_a_protocol_is_marked_with_its_curve(tmp_path):
    np.save(tmp_path / "data.npy", np.random.default_rng(0).normal(size=(600, 43)))
    path, result = train(
        tmp_path, "protocol=maf_paper", "model=made", "data=miniboone", "logger=csv",
        f"data.path={tmp_path / 'data.npy'}", "trainer.max_epochs=1", "figures=false",
    )  # fmt: skip
    assert result["deviations"] == [
        "trainer.max_epochs=1 (protocol: 10000)",
        "val rows=54 (protocol: 3,284)",
        "test rows=60 (protocol: 3,648)",
    ]
    [run] = collect(tmp_path / "outputs")
    assert len(run.history) == 1
    table = results_table(settings_of([run]))
    assert table.lines[0][1].text == "made ‡"
    assert any(
        note.startswith("‡") and "trainer.max_epochs=1 (protocol: 10000)" in note
        for note in table.notes
    )
    assert "beside the protocol" in summary(result, path)


def test_what_a_protocol_leaves_open_is_said():
    with pytest.raises(ConfigError, match=r"protocol\.hidden_units"):
        composed("protocol=maf_paper", "data=toy")
    with pytest.raises(ConfigError, match=r"published\.model is missing"):
        composed("protocol=maf_paper", "data=power", "model=iaf")
    with pytest.raises(ConfigError, match=r"protocol\.hidden_units"):
        composed("protocol=nsf_paper", "data=bsds300", "model=maf_spline")


def test_a_protocol_gives_way_to_the_command_and_to_an_experiment(tmp_path):
    experiment = tmp_path / "experiment" / "wide.yaml"
    experiment.parent.mkdir()
    experiment.write_text(
        "# @package _global_\ndefaults: [{override /data: gas}, {override /protocol: maf_paper}]\n"
        "training: {batch_size: 200}\n"
    )
    search = f"hydra.searchpath=[file://{tmp_path}]"
    config = composed(search, "experiment=wide", "model.hidden_units=[512,512]")
    assert config.training.batch_size == 200
    assert config.training.patience == 30
    assert config.model.hidden_units == [512, 512]
    assert config.model.activation == "tanh"


def test_the_protocol_enters_the_hash_by_what_it_sets():
    by_hand = ["model=made", "data=power", "training.batch_size=100", "trainer.max_epochs=10000",
               "training.gradient_clip_norm=null"]  # fmt: skip
    assert run_hash(composed("protocol=maf_paper", "model=made", "data=power")) == run_hash(
        composed(*by_hand)
    )
