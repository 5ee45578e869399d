"""Where a row is a frame, what is said of a split is said of whole clips."""

import math

import numpy as np
import pytest
import torch

from flowbench.data import Fsdd
from flowbench.evaluation import evaluate, log_likelihoods
from flowbench.evaluation.text import describe, least_likely_line
from flowbench.flows import MAF

soundfile = pytest.importorskip("soundfile", reason="soundfile is not installed")

FRAMES, CLIPS = 15, 10


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two words by two speakers, 14 recordings each, that grow louder with their number."""
    root = tmp_path_factory.mktemp("clips")
    rng = np.random.default_rng(0)
    for word in ("one", "zero"):
        (root / "fsdd" / word).mkdir(parents=True)
        for speaker in ("ann", "bob"):
            for n in range(14):
                samples = 0.02 * (1 + n) * rng.standard_normal(1000)
                path = root / "fsdd" / word / f"{speaker}_nohash_{n}.wav"
                soundfile.write(path, samples, 4000, subtype="PCM_16")
    return root


@pytest.fixture(scope="module")
def loaded(folder):
    """The data of a window, and an untrained density of their rows."""

    def loaded(window):
        data = Fsdd(
            path=folder / "fsdd", cache_dir=folder / "cache", window=window, train_label="zero",
            mel=6, sample_rate=4000, seconds=0.25, frame_ms=16, step_ms=16,
        )  # fmt: skip
        data.setup()
        torch.manual_seed(0)
        context = data.context_features
        return MAF(data.features, context_features=context, hidden_units=[8], layers=1), data

    return loaded


@pytest.mark.parametrize("split", ["val", "test"])
def test_the_log_likelihood_of_a_clip_is_the_sum_over_its_frames(loaded, split):
    flow, data = loaded("sequence")
    assert len(data.rows[split]) == CLIPS * FRAMES
    frames = log_likelihoods(flow, data.rows[split]).reshape(CLIPS, FRAMES).numpy()
    outer = frames + data.rows[split].log_det.reshape(CLIPS, FRAMES).numpy()
    score = evaluate(flow, data, split)
    assert score["rows_per_event"] == FRAMES
    for space, terms in (("model_space", frames), ("data_space", outer)):
        clips, found = terms.sum(1), score["log_likelihood"][space]
        assert found["n"] == CLIPS
        assert found["mean"] == pytest.approx(clips.mean(), rel=1e-12)
        error = 2 * clips.std(ddof=1) / math.sqrt(CLIPS)
        assert found["two_standard_errors"] == pytest.approx(error, rel=1e-12)
        assert found["min"] == pytest.approx(clips.min(), rel=1e-12)
    order = frames.sum(1).argsort()
    assert [entry["clip"] for entry in score["least_likely"]] == order[:5].tolist()


def test_words_are_told_apart_in_the_same_unit(loaded):
    flow, data = loaded("sequence")
    score = evaluate(flow, data, "test")
    table = score["anomaly"]
    assert table["unit"] == "nats per clip"
    learnt = score["log_likelihood"]["model_space"]
    assert {key: table["labels"]["zero"][key] for key in learnt} == learnt


def test_the_screen_names_the_unit(loaded):
    block = evaluate(*loaded("sequence"), "test")
    lines = describe(block, "test")
    assert lines[0].endswith(")")
    assert f" nats per clip ({FRAMES} frames)  ({CLIPS} clips; median " in lines[0]
    assert lines[1].endswith(f" nats per clip ({FRAMES} frames)")
    assert "least likely clips" in least_likely_line(block)
    block = evaluate(*loaded("whole"), "test")
    assert f" nats  ({CLIPS} rows; median " in describe(block, "test")[0]
    assert "least likely rows" in least_likely_line(block)


def test_a_row_that_is_a_whole_clip_stays_what_it_is(loaded):
    flow, data = loaded("frames")
    score = evaluate(flow, data, "test")
    assert score["rows_per_event"] == 1
    terms = log_likelihoods(flow, data.rows["test"])
    assert score["log_likelihood"]["model_space"]["mean"] == pytest.approx(terms.mean().item())
    assert score["least_likely"][0]["row"] == terms.argmin()
