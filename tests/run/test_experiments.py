"""Every experiment is sound; what their callbacks write; runs from another's parameters."""

import csv

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch
from run_commands import composed, train

import flowbench
from flowbench.config.configuration import ConfigError, resolved
from flowbench.evaluation.published import published_curve
from flowbench.run.identity import run_hash
from flowbench.run.main import config_directory

FOLDER = config_directory() / "experiment"
FILES = sorted(FOLDER.rglob("*.yaml"))
TOY = ["data.train_rows=2000", "data.val_rows=500", "model.layers=2", "model.hidden_units=[8]",
       "training.batch_size=100", "logger=csv", "figures=false"]  # fmt: skip


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """A run with a curve by steps: where, and its result."""
    return train(
        tmp_path_factory.mktemp("plain"), *TOY, "trainer.max_epochs=3",
        "+callbacks.steps={_target_: flowbench.evaluation.curves.StepCurve, every: 20}",
    )  # fmt: skip


@pytest.fixture
def clips(tmp_path):
    """Two words by two speakers, 14 times each, in the layout of FSDD."""
    rng = np.random.default_rng(0)
    for pitch, word in ((0.05, "one"), (0.2, "zero")):
        folder = tmp_path / "clips" / word
        folder.mkdir(parents=True)
        for speaker in ("ann", "bob"):
            for n in range(14):
                samples = np.sin(pitch * np.arange(6000)) + 0.1 * rng.standard_normal(6000)
                path = folder / f"{speaker}_nohash_{n}.wav"
                soundfile.write(path, 0.1 * samples, 8000, subtype="PCM_16")
    return tmp_path / "clips"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_it_is_sound_and_explained(file):
    name = file.relative_to(FOLDER).with_suffix("").as_posix()
    overrides = ["data.path=rows.npz"] if name == "power_2007h1" else []
    composed(f"experiment={name}", *overrides)
    lines = file.read_text(encoding="utf-8").splitlines()
    assert lines[0] == "# @package _global_"
    assert lines[1].startswith("# ")


def test_the_settings_of_the_article():
    gas = resolved(composed("experiment=seed_article/gas"))
    speech = resolved(composed("experiment=seed_article/speech_zero"))
    for config, width, rate in ((gas, 100, 1e-4), (speech, 512, 1e-3)):
        model, training = config["model"], config["training"]
        assert (model["layers"], model["hidden_units"]) == (10, [width, width])
        assert (model["activation"], model["batch_norm"], model["reverse"]) == ("tanh", True, True)
        assert model["batch_norm_side"] == "data"
        assert (training["batch_size"], training["learning_rate"]) == (100, rate)
        assert training["gradient_clip_norm"] is None
    assert gas["data"]["name"] == "gas_article"
    assert speech["data"]["fft_length"] == 2 * (257 - 1)
    assert (speech["data"]["window"], speech["data"]["train_label"]) == ("article", "zero")


def test_words_are_followed_epoch_by_epoch(tmp_path, clips):
    path, result = train(
        tmp_path, "experiment=seed_article/speech_zero", "data=fsdd", f"data.path={clips}",
        "model.hidden_units=[8]", "model.layers=1", "training.batch_size=8", "logger=csv",
        "trainer.max_epochs=3",
    )  # fmt: skip
    assert result["features"] == 257
    curve = pd.read_csv(path / "labels.csv")
    assert list(curve) == ["epoch", "one", "zero"]
    assert list(curve.epoch) == [0, 1, 2]
    table = result["test"]["anomaly"]
    best = curve.iloc[result["best_epoch"]]
    for label in ("one", "zero"):
        assert table["labels"][label]["mean"] == pytest.approx(best[label], rel=1e-6)
    assert table["learnt"] == "zero"


def test_frames_of_a_word_tell_it_from_others(tmp_path, clips):
    _, result = train(
        tmp_path, "experiment=fsdd_zero", f"data.path={clips}", "model.hidden_units=[16]",
        "model.layers=2", "trainer.max_epochs=5", "logger=csv",
    )  # fmt: skip
    assert (result["features"], result["context_features"]) == (32, 97)
    table = result["test"]["anomaly"]
    assert (table["above"], table["unit"]) == (0, "nats per clip")
    assert table["mean_auroc"] == 1.0


def test_the_article_on_gas_stands_beside_ours(tmp_path, capsys):
    """Its figures have no error bars: under N(0, I), untrained, and by batch."""
    rng = np.random.default_rng(0)
    readings = np.tanh(rng.normal(size=(2000, 8)) @ rng.normal(size=(8, 16)))
    header = "Time (seconds), CO conc (ppm), Ethylene conc (ppm), sensor readings (16 channels)"
    rows = np.hstack([np.arange(2000)[:, None] / 100, np.zeros((2000, 2)), readings])
    np.savetxt(tmp_path / "gas.txt", rows, fmt="%.3f", header=header, comments="")
    path, result = train(
        tmp_path, "experiment=seed_article/gas", f"data.path={tmp_path / 'gas.txt'}",
        "model.hidden_units=[8]", "model.layers=1", "trainer.max_epochs=2", "logger=csv",
        "callbacks.steps.every=9",
    )  # fmt: skip
    known = result["published"]
    assert (known["mean"], known["two_standard_errors"]) == (5.29119, None)
    assert known["difference"] == pytest.approx(
        result["test"]["log_likelihood"]["model_space"]["mean"] - 5.29119
    )
    steps, curve = result["steps"], pd.read_csv(path / "steps.csv")
    assert steps["untrained"] == curve.iloc[0].to_dict()
    assert steps["last"] == curve.iloc[-1].to_dict()
    article = steps["published"]
    assert (article["untrained"]["base/train"], article["untrained"]["train"]) == (
        -11.33871, -11.22097,
    )  # fmt: skip
    assert (article["last"]["step"], article["last"]["test"]) == (1, -10.09264)
    printed = capsys.readouterr().out
    for text in ("under N(0, I)", "(published -11.3643)", "at step 1\n", "5.2912 nats  (MAF (10)"):
        assert text in printed
    in_full = published_curve("Experimenting", "gas_article")
    assert [row["test"] for row in in_full if row["step"] == 20001] == [5.29119]


def test_a_curve_by_steps_starts_with_the_untrained_flow(plain):
    path, _ = plain
    curve = pd.read_csv(path / "steps.csv")
    assert list(curve) == ["step", "train", "test", "base/train", "base/test"]
    assert list(curve.step) == [0, 20, 40, 60]
    assert curve.test.iloc[-1] > curve.test.iloc[0]
    assert curve["base/test"].nunique() == 1
    with (path / "metrics.csv").open() as file:
        assert [row["step"] for row in csv.DictReader(file)] == ["20", "40", "60"]


def test_labels_that_cannot_be_followed_are_refused_before_training(tmp_path, clips):
    curve = "+callbacks.words={_target_: flowbench.evaluation.curves.LabelCurve, labels: [dog]}"
    with pytest.raises(ValueError, match="LabelCurve needs data of sound, got Toy"):
        train(tmp_path, *TOY, curve)
    with pytest.raises(ValueError, match="labels=dog: expected labels of test clips: one, zero"):
        train(
            tmp_path, "experiment=seed_article/speech_zero", "data=fsdd", f"data.path={clips}",
            "model.hidden_units=[8]", "model.layers=1", "training.batch_size=8", "logger=csv",
            "+callbacks.labels.labels=[dog]",
        )  # fmt: skip
    assert not list(tmp_path.glob("**/metrics.csv"))


def test_a_run_starts_from_the_parameters_of_another(plain, tmp_path):
    first, before = plain
    still = ["trainer.max_epochs=1", "training.learning_rate=1e-12", "training.weight_decay=0"]
    second, after = train(tmp_path, *TOY, *still, f"init_from='{first}'")
    assert first.parent.name != second.parent.name
    means = [r["val"]["log_likelihood"]["model_space"]["mean"] for r in (before, after)]
    assert means[0] == pytest.approx(means[1], abs=1e-4)


def test_the_average_is_what_is_scored(plain, tmp_path):
    path, result = train(tmp_path, *TOY, "trainer.max_epochs=3", "training.ema=0.99")
    other, _ = plain
    one, two = (flowbench.load(folder).flow for folder in (path, other))
    parameters = [torch.nn.utils.parameters_to_vector(f.parameters()) for f in (one, two)]
    assert not torch.allclose(*parameters, atol=1e-3)
    assert result["val"]["log_likelihood"]["model_space"]["mean"] > -5


def test_callbacks_are_checked_and_change_the_hash_only_where_there_are_some():
    assert run_hash(composed()) == run_hash(composed("init_from=null"))
    curve = "+callbacks.a={_target_: flowbench.evaluation.curves.StepCurve}"
    assert run_hash(composed()) != run_hash(composed(curve))
    with pytest.raises(ConfigError, match=r"callbacks\.a\.ever: unknown key"):
        composed("+callbacks.a={_target_: flowbench.evaluation.curves.StepCurve, ever: 1}")
    with pytest.raises(ConfigError, match=r"training\.ema=1\.0: expected a number above 0"):
        composed("training.ema=1.0")
