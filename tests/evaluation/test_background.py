"""Words told apart by the density of one less that of all: log p(x | word) − log p(x)."""

import numpy as np
import pytest
import soundfile
import torch
from run_commands import composed, script, train

from flowbench.checkpoint import CheckpointError, load
from flowbench.config.quoting import quoted
from flowbench.data import DataError
from flowbench.evaluation.anomaly import separation
from flowbench.evaluation.runs import open_run
from flowbench.evaluation.text import describe
from flowbench.report.collect import collect
from flowbench.report.results import results_table
from flowbench.report.settings import settings_of

OPTIONS = [
    "experiment=fsdd_unseen_speaker", "model.layers=1", "trainer.max_epochs=1", "data.mel=8",
    "data.cepstra=4", "data.frames=8", "data.sample_rate=4000", "data.test_speaker=bob",
    "logger=none",
]  # fmt: skip
FEATURES = {"data.cepstra": "3", "data.test_speaker": "null", "data.level": "0.2"}


def word(pitch, speaker, n):
    """A hum that rises or falls, at the speaker's own pitch, in some noise."""
    rng = np.random.default_rng([n, speaker])
    t = np.arange(1200 + 10 * n) / 4000
    hum = np.sin(2 * np.pi * (300 + 50 * speaker + pitch * t) * t)
    return 0.1 * hum + 0.03 * rng.standard_normal(len(t))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three words by two speakers, 14 recordings each."""
    root = tmp_path_factory.mktemp("words")
    for name, pitch in (("one", 100), ("two", 900), ("zero", 2000)):
        (root / "fsdd" / name).mkdir(parents=True)
        for speaker, who in enumerate(("ann", "bob")):
            for n in range(14):
                path = root / "fsdd" / name / f"{who}_nohash_{n}.wav"
                soundfile.write(path, word(pitch, speaker, n), 4000, subtype="PCM_16")
    return root


@pytest.fixture(scope="module")
def trained(folder):
    """Trains on these clips: where, and the result."""
    own = [*OPTIONS, f"data.path={folder / 'fsdd'}"]
    return lambda *overrides: train(folder, *own, *map(quoted, overrides))


@pytest.fixture(scope="module")
def background(trained):
    return trained("data.train_label=null")[0]


@pytest.fixture(scope="module")
def compared(trained, background):
    return trained(f"evaluation.background={background}")


def collected(folder, path):
    [run] = [run for run in collect(folder / "outputs") if folder / run.path == path]
    return run


@pytest.mark.parametrize("split", ["val", "test"])
def test_the_background_is_subtracted_clip_by_clip(compared, background, folder, split):
    scores = []
    for path in (compared[0], background):
        run, density = open_run(path, cache=folder / "cache"), load(path)
        found = {}
        for label, rows in run.data.scored_of(split).items():
            x = run.data.preprocess(rows.x.double())[0]
            given = run.data.context_preprocess(rows.context.double())[0]
            found[label] = density.log_prob(x.float(), given.float()).reshape(-1, 8).sum(1)
        scores.append(found)
    ratios = {label: scores[0][label] - scores[1][label] for label in scores[0]}
    table = compared[1][split]["anomaly"]["background"]
    assert (table["learnt"], table["run"]) == ("zero", str(background))
    for label in ("one", "two"):
        expected = separation(ratios["zero"], ratios[label])["auroc"]
        assert table["labels"][label]["auroc"] == pytest.approx(expected)
    mean = torch.stack([terms.mean() for terms in ratios.values()])
    found = [table["labels"][label]["mean"] for label in ratios]
    assert found == pytest.approx(mean.tolist(), rel=1e-3, abs=1e-2)


def test_it_stands_in_a_column_of_its_own(compared, folder):
    path, result = compared
    block = result["test"]
    alone, less = block["anomaly"], block["anomaly"]["background"]
    told = "\n".join(describe(block, "test"))
    for table in (alone, less):
        assert f"mean {table['mean_auroc']:.4f}, worst {table['worst_auroc']:.4f}" in told
    assert f"less background AUROC {less['labels']['one']['auroc']:.4f}" in told
    table = results_table(settings_of([collected(folder, path)]))
    [line] = table.lines
    shown = {heading: cell.value for heading, cell in zip(table.headings, line, strict=True)}
    assert shown["AUROC"] == alone["mean_auroc"]
    assert shown["AUROC less background"] == less["mean_auroc"]


def test_a_density_of_normalised_features_is_said_to_be_one(compared, folder):
    path, result = compared
    assert result["measure"] == result["test"]["measure"] == "clip-normalised"
    told = describe(result["test"], "test")
    assert any("clip-normalised features: beside no other nats" in line for line in told)
    [setting] = settings_of([collected(folder, path)])
    assert setting.ranking.endswith(", clip-normalised measure")


def test_how_words_are_told_apart_changes_no_training(trained, compared):
    _, alone = trained()
    assert alone["test"]["log_likelihood"] == compared[1]["test"]["log_likelihood"]


def test_another_run_is_scored_with_it_afterwards(trained, compared, background, capsys, folder):
    path, _ = trained()
    own = [str(path), "--cache", str(folder / "cache")]
    script("evaluate")([*own, "--background", str(background)])
    mean = compared[1]["test"]["anomaly"]["background"]["mean_auroc"]
    assert f"less background      mean {mean:.4f}" in capsys.readouterr().out


@pytest.mark.parametrize("key", FEATURES)
def test_a_background_of_other_features_is_refused(trained, background, key):
    with pytest.raises(DataError, match=f"evaluation.background=.* {key}=.*expected .* {key}="):
        trained(f"{key}={FEATURES[key]}", f"evaluation.background={background}")


def test_a_background_is_of_all_words(trained, compared):
    with pytest.raises(
        DataError, match=r"data.train_label=zero; expected .*data.train_label=null"
    ):
        trained(f"evaluation.background={compared[0]}", "data.train_label=one")


def test_it_is_for_a_density_of_one_word(trained, background):
    with pytest.raises(DataError, match=r"only a density of one word .* leave it out"):
        trained("data.train_label=null", f"evaluation.background={background}")


def test_a_background_that_is_no_run_is_refused_before_training(trained, folder):
    with pytest.raises(CheckpointError, match="nowhere"):
        trained(f"evaluation.background={folder / 'nowhere'}")


def test_it_is_for_sound(tmp_path, background):
    override = quoted(f"evaluation.background={background}")
    with pytest.raises(DataError, match="only a density of one word"):
        train(tmp_path, "data=toy", "model=gaussian", override)


def test_speakers_are_swept_over():
    assert composed("experiment=fsdd_unseen_speaker", "sweep=speakers").data.frames == 24
