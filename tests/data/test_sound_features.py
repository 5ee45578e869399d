"""Features that leave out what does not say which word a clip is."""

import numpy as np
import pytest
import scipy.fft
import torch
from sound_clips import RATE, load, noise, soundfile, write_clip

from flowbench.config.combinations import idle
from flowbench.config.defaults import defaults_of
from flowbench.data import DataError, Fsdd
from flowbench.data.sound.clips import Clip
from flowbench.data.sound.feature_options import FeatureOptions
from flowbench.data.sound.features import write_features
from flowbench.data.sound.invariance import cepstra, normalized, stretched, trimmed
from flowbench.data.sound.spectrogram import Framing
from flowbench.evaluation.clips import sample_clips
from flowbench.figures.pictures import save_spectrograms

SMALL = {"window": "sequence", "sample_rate": RATE, "seconds": 0.5, "frame_ms": 16, "step_ms": 10}
CEPSTRA = {"mel": 8, "cepstra": 5, "context_frames": 0}
UNSEEN = {**CEPSTRA, "window": "sequence", "frames": 12, "normalize": "clip"}


def features(folder, samples, **options):
    """Of one clip, `[frames, coefficients]`."""
    write_clip(folder / "clip.wav", samples)
    chosen = FeatureOptions(**{**SMALL, "floor": 1e-4, **options})
    write_features(folder / "x.npy", [Clip("word", "clip", folder / "clip.wav")], chosen)
    return np.load(folder / "x.npy")[0]


def spoken(*, tempo=1):
    """A low hum, then a high one, of 100 ms each at the usual tempo."""
    t = np.arange(RATE // 10 * tempo) / RATE
    hums = [np.sin(2 * np.pi * pitch * t) for pitch in (300, 1100)]
    return 0.2 * np.concatenate(hums) + 0.01 * noise(0, 2 * len(t))


def after(pause):
    """The hums between two pauses, 46 dB quieter."""
    return np.concatenate([1e-3 * noise(1, pause), spoken(), 1e-3 * noise(2, 400)])


# A change: a clip, the changed one, what leaves the change out, and what both features have.
NORMALIZED = {"cepstra": 5, "normalize": "clip"}
ALIKE = {
    "louder": (spoken(), 2 * spoken(), {"level": 0.1}, {}),
    "after a longer pause": (after(400), after(800), {"trim_db": 30}, {}),
    "slower": (spoken(), spoken(tempo=2), {"frames": 12}, {"mel": 8}),
    "nearer": (spoken(), 2 * spoken(), NORMALIZED, {"mel": 8, "seconds": 0.2}),
}


def distance(one, other):
    if one.shape != other.shape:
        return np.inf
    return np.linalg.norm(one - other) / np.linalg.norm(one)


@pytest.mark.parametrize("change", ALIKE)
def test_a_clip_that_differs_so_has_the_same_features(change, tmp_path):
    *clips, options, shared = ALIKE[change]
    assert distance(*(features(tmp_path, one, **options, **shared) for one in clips)) < 0.1
    assert distance(*(features(tmp_path, one, **shared) for one in clips)) > 0.5


def test_a_clip_is_not_padded_where_it_is_interpolated(tmp_path):
    frames = features(tmp_path, spoken(), frames=12)
    assert frames.max(-1).min() > 0.1 * frames.max()
    assert features(tmp_path, spoken()[:40], frames=12).shape == (12, 33)


def test_noise_is_added_to_the_level_and_not_scaled_by_it(tmp_path):
    quiet, loud = (features(tmp_path, gain * spoken(), level=0.1, floor=0.01) for gain in (0.1, 1))
    assert distance(quiet, loud) < 0.01


def test_ends_are_cut_where_the_clip_ends_and_not_within_its_last_frame():
    framing = Framing(window="frames", frame_length=40, frame_step=20, fft_length=64)
    samples = noise(0, 115)
    np.testing.assert_array_equal(trimmed(samples, framing, 60), samples)
    np.testing.assert_array_equal(trimmed(samples[:30], framing, 1), samples[:30])
    np.testing.assert_array_equal(trimmed(np.zeros(90), framing, 1), np.zeros(90))


def test_cepstra_are_the_cosine_transform_of_logarithms():
    magnitudes = np.exp(noise(0, 60)).reshape(2, 3, 10)
    expected = scipy.fft.dct(np.log(magnitudes), norm="ortho")[..., :7]
    np.testing.assert_allclose(cepstra(magnitudes, 7), expected, atol=1e-12)


@pytest.mark.parametrize(("n", "frames"), [(1, 4), (2, 5), (7, 3), (7, 7), (5, 1)])
def test_frames_are_interpolated_in_time(n, frames):
    values = np.linspace(0, 1, n)[:, None] * [[1.0, 2.0]]
    expected = np.linspace(0, values[-1], frames) if frames > 1 else values[:1]
    np.testing.assert_allclose(stretched(values, frames), expected, atol=1e-12)


def test_every_clip_has_mean_zero_and_variance_one(fsdd):
    data = load(fsdd, train_label="zero", level=0.1, trim_db=30, **UNSEEN)
    assert (data.features, data.context_features, data.rows_per_clip) == (5, 1, 12)
    assert data.other_measure == "clip-normalised"
    assert load(fsdd).measure is None
    for split in ("train", "val", "test"):
        clips = data.spectrograms(data.raw.x[split])
        np.testing.assert_allclose(clips.mean(1), 0, atol=1e-5)
        np.testing.assert_allclose(clips.std(1), 1, atol=1e-5)
        assert torch.isfinite(data.rows[split].x).all()
    assert [step["name"] for step in data.raw.preprocess] == ["Standardize"]


def test_cepstra_that_are_not_normalised_are_standardised_by_the_training_rows(fsdd):
    data = load(fsdd, window="sequence", **CEPSTRA)
    assert not 0.5 < data.raw.x["train"].std(0)[0] < 2
    np.testing.assert_allclose(data.rows["train"].x.std(0), 1, rtol=1e-2)
    assert data.measure is None


class Constant:
    """Draws cepstra that are all the same, some of them negative."""

    def sample(self, n, context=None):
        return torch.linspace(-1, 1, 5).expand(n, *context.shape[:-1], 5)


def test_samples_of_cepstra_are_drawn_as_pictures(fsdd, tmp_path):
    data = load(fsdd, **UNSEEN)
    clips = sample_clips(Constant(), data, n=2)
    assert clips.shape == (2, 12, 5)
    pictures = [tmp_path / f"{name}.png" for name in ("cepstra", "reversed")]
    for path, drawn in zip(pictures, (clips, clips[..., ::-1]), strict=True):
        save_spectrograms(drawn, path, cepstra=True)
    first, second = (path.read_bytes() for path in pictures)
    assert first != second


EXCLUDED = [
    ({"cepstra": 9, "mel": 8}, "data.cepstra=9: a frame has 8 magnitudes"),
    ({"cepstra": 34}, "data.cepstra=34: a frame has 33 magnitudes"),
    ({"window": "frames", "frames": 12}, "data.frames=12 interpolates .* data.window=sequence"),
    ({"window": "frames", "cepstra": 5, "normalize": "clip"}, "normalize=clip fixes mean and var"),
    ({"window": "sequence", "frames": 12}, "data.context_frames=2: .* data.context_frames=0"),
    ({**UNSEEN, "frames": 3}, "normalize=clip: clips have 3 of the 4 frames"),
    ({**UNSEEN, "window": "whole"}, "normalize=clip: clips have 1 of the 4 frames"),
    ({**UNSEEN, "frames": None, "context_frames": 21}, r"context_frames=21: .* at most 20"),
    ({"level": 0}, "data.level=0: expected a number above 0"),
    ({"trim_db": -3}, "data.trim_db=-3: expected a number above 0"),
    ({"frames": 0}, "data.frames=0: expected an integer at least 1"),
    ({"normalize": "row"}, "data.normalize='row' is unknown: expected 'clip'"),
]  # fmt: skip


@pytest.mark.parametrize(("options", "message"), EXCLUDED)
def test_features_that_exclude_each_other_are_one_sentence(fsdd, options, message):
    with pytest.raises(DataError, match=message):
        load(fsdd, **options)


def test_all_that_excludes_each_other_is_told_together(fsdd):
    with pytest.raises(DataError) as told:
        load(fsdd, window="frames", frames=12, cepstra=40, frame_ms=300)
    assert [line.split("=")[0] for line in str(told.value).splitlines()] == [
        "data.frame_ms", "data.fft_length", "data.cepstra", "data.frames",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "options",
    [
        {"window": "whole", "frames": 12},
        {"normalize": "clip"},
        {"magnitude": "linear", "cepstra": 5},
    ],
)
def test_an_option_without_effect_is_told(options):
    assert len(list(idle(Fsdd, options, defaults_of(Fsdd)))) == 1


@pytest.mark.parametrize(
    ("options", "samples", "message"),
    [
        ({"level": 0.1}, np.zeros(900), "is silent, so that it cannot be brought to data.level"),
        (UNSEEN, 0.1 * noise(0, 30), "has frames that are all alike"),
        ({**CEPSTRA, "floor": 0, "seconds": 0.2}, np.zeros(900), "frame 1 is silent"),
    ],
)
def test_a_clip_that_cannot_be_normalised_is_named(fsdd, options, samples, message):
    path = fsdd / "one" / "ann_nohash_3.wav"
    soundfile.write(path, samples, RATE, subtype="FLOAT")
    with pytest.raises(DataError, match=f"{path}.*{message}"):
        load(fsdd, **{"window": "sequence", **options})


def test_frames_that_are_all_alike_have_no_variance():
    with pytest.raises(DataError, match="all alike"):
        normalized(np.tile([1.0, 2.0], (9, 1)))
