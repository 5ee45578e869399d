"""Clips of sound: reading, splits, spectra, sequences of frames, words to score."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from sound_clips import RATE, load, noise, sizes, soundfile, write_clip

from flowbench.data import DataError, Fsdd, SoundFolder, SpeechCommands
from flowbench.data.sound.backend import mel_filters
from flowbench.data.sound.clips import Clip, speaker_splits
from flowbench.data.sound.resampling import resample
from flowbench.data.sound.spectrogram import Framing, stft_magnitudes
from flowbench.evaluation.clips import per_event, sample_clips
from flowbench.figures.pictures import save_spectrograms


def test_stft_is_a_direct_fourier_sum():
    x = torch.from_numpy(noise(0, 1000))
    hann = lambda n: 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n) / n)  # noqa: E731

    def direct(samples, n):
        k = np.arange(n // 2 + 1)[:, None]
        phase = np.exp(-2j * np.pi * k * np.arange(len(samples)) / n)
        return np.abs((samples * phase).sum(-1))

    options = {"frame_length": 100, "frame_step": 30}
    for fft_length in (64, 100, 128):
        found = stft_magnitudes(
            x[None], Framing(window="frames", fft_length=fft_length, **options)
        )
        assert found.shape == (1, 31, fft_length // 2 + 1)
        for frame in (0, 7, 30):
            part = (x[30 * frame : 30 * frame + 100].numpy() * hann(100))[:fft_length]
            np.testing.assert_allclose(found[0, frame], direct(part, fft_length), atol=1e-10)
    whole = x.numpy() * hann(1000)
    found = stft_magnitudes(x[None], Framing(window="article", fft_length=64, **options))
    np.testing.assert_allclose(found[0, 0], direct(whole[:64], 64), atol=1e-10)
    found = stft_magnitudes(x[None], Framing(window="whole", fft_length=64, **options))
    np.testing.assert_allclose(found[0, 0], direct(whole, 64), atol=1e-10)


@pytest.mark.parametrize("rate", [8000, 16000, 44100])
@pytest.mark.parametrize("cls", [SoundFolder, Fsdd, SpeechCommands])
def test_by_default_the_whole_of_a_frame_is_transformed(cls, rate):
    framing = cls(path="clips", window="frames", sample_rate=rate).feature_options.framing
    assert framing.frame_length == 0.03 * rate
    last = torch.zeros(1, framing.frame_length)
    last[0, -2] = 1
    assert stft_magnitudes(last, framing).min() > 0
    assert framing.fft_length == {8000: 256, 16000: 512, 44100: 2048}[rate]


def test_a_speaker_left_out_is_the_test(fsdd):
    data = load(fsdd, train_label="zero", test_speaker="ann")
    speakers = {s: {name.split("_")[0] for _, name in data.clips[s]} for s in data.clips}
    assert speakers.pop("test") == {"ann"}
    assert speakers == {"train": {"bob"}, "val": {"bob"}}
    assert sizes(data) == {"train": 4, "val": 5, "test": 14}
    assert len(data.scored["one"]) == 14
    with pytest.raises(DataError, match="test_speaker=eve: no such speaker; known: ann, bob"):
        load(fsdd, test_speaker="eve")


def test_fsdd_split_and_words_to_score(fsdd):
    data = load(fsdd, train_label="zero")
    assert sizes(data) == {"train": 8, "val": 10, "test": 10}
    assert data.features == 33
    assert data.labels == ["one", "zero"]
    assert data.clips["train"][0] == ("zero", "ann_nohash_10")
    assert list(data.scored) == ["one", "zero"]
    assert len(data.scored) == 2
    assert torch.equal(data.scored["zero"].x, data.rows["test"].x)
    assert torch.equal(data.scored["zero"].log_det, data.rows["test"].log_det)
    assert not torch.equal(data.scored["one"].x, data.rows["test"].x)
    validation = data.scored_of("val")
    assert list(validation) == ["one", "zero"]
    assert torch.equal(validation["zero"].x, data.rows["val"].x)
    assert data.test_clips("one")[0] == "ann_nohash_0"
    assert data.rows_per_clip == 1
    with pytest.raises(KeyError):
        data.scored["two"]
    everything = load(fsdd)
    assert sizes(everything) == {"train": 16, "val": 20, "test": 20}
    np.testing.assert_array_equal(everything.raw.x["test"][10:], data.raw.x["test"])


def test_rows_are_standardised_log_spectra_of_padded_clips(fsdd):
    data = load(fsdd, train_label="zero", floor=0)
    raw = []
    for _, name in data.clips["train"]:
        samples, rate = soundfile.read(fsdd / "zero" / f"{name}.wav")
        assert rate == RATE
        raw.append(np.pad(samples, (0, 1000))[:1000])
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(1000) / 1000)
    phase = np.exp(-2j * np.pi * np.arange(33)[:, None] * np.arange(1000) / 64)
    magnitudes = np.abs((np.array(raw) * window) @ phase.T)
    np.testing.assert_allclose(data.raw.x["train"], magnitudes, rtol=1e-4, atol=1e-6)
    u = np.log(magnitudes)
    expected = (u - u.mean(0)) / u.std(0)
    np.testing.assert_allclose(data.rows["train"].x, expected, atol=1e-3)
    log_det = -u.sum(-1) - np.log(u.std(0)).sum()
    np.testing.assert_allclose(data.rows["train"].log_det, log_det, rtol=1e-4)
    back = data.preprocess(data.rows["train"].x.double())[0]
    np.testing.assert_allclose(back, data.raw.x["train"], rtol=1e-4)


def test_noise_belongs_to_the_clip(fsdd):
    one, all_ = load(fsdd, train_label="zero", floor=0.01), load(fsdd, floor=0.01)
    quiet = load(fsdd, train_label="zero", floor=0)
    np.testing.assert_array_equal(one.raw.x["train"], all_.raw.x["train"][8:])
    assert not np.allclose(one.raw.x["train"], quiet.raw.x["train"], rtol=1e-2)


def test_sequence_gives_each_frame_what_precedes_it(fsdd):
    data = load(fsdd, window="sequence", context_frames=2)
    frames = load(fsdd, window="frames")
    clips = frames.raw.x["train"].reshape(16, 24, 33)
    assert data.rows_per_clip == data.frames == 24
    assert data.context_features == 2 * 33 + 1
    np.testing.assert_array_equal(data.raw.x["train"].reshape(16, 24, 33), clips)
    context = data.raw.context["train"].reshape(16, 24, 67)
    np.testing.assert_array_equal(context[:, 2:, :33], clips[:, :-2])
    np.testing.assert_array_equal(context[:, 1:, 33:66], clips[:, :-1])
    start = np.exp(np.log(data.raw.x["train"]).mean(0))
    np.testing.assert_allclose(context[:, 0, :33], np.tile(start, (16, 1)), rtol=1e-4)
    np.testing.assert_allclose(context[0, :, 66], np.linspace(0, 1, 24), rtol=1e-6)
    model = data.rows["train"].context.reshape(16, 24, 67)
    u = data.rows["train"].x.reshape(16, 24, 33)
    torch.testing.assert_close(model[:, 1:, 33:66], u[:, :-1], atol=1e-4, rtol=0)
    assert model[:, 0, :66].abs().max() < 1e-4
    assert per_event(data.rows["train"].log_det, data).shape == (16,)
    assert data.scored["one"].context.shape == (10 * 24, 67)
    first = load(fsdd, window="sequence", context_frames=0)
    assert first.context_features == 1
    assert first.rows["train"].context.std() == pytest.approx(1, abs=0.1)


def test_frames_side_by_side(fsdd):
    data = load(fsdd, window="frames", magnitude="linear", standardize=False)
    assert data.features == 24 * 33
    assert data.raw.preprocess == []
    assert data.raw.feature_names[33] == "frame1_coefficient0"
    assert data.spectrograms(data.raw.x["val"]).shape == (20, 24, 33)
    np.testing.assert_array_equal(data.rows["val"].x, data.raw.x["val"])


@pytest.mark.parametrize("window", ["whole", "sequence"])
def test_label_as_context(fsdd, window):
    data = load(fsdd, label_context=True, window=window)
    labels = [data.labels.index(label) for label, _ in data.clips["val"]]
    one_hot = data.rows["val"].context[:: data.rows_per_clip, -2:]
    assert one_hot.argmax(-1).tolist() == labels
    assert set(one_hot.unique().tolist()) == {0, 1}
    scored = data.scored["one"].context
    assert scored[:, -2:].unique(dim=0).tolist() == [[1, 0]]


class Echo:
    """Draws a frame that tells what it was conditioned on."""

    def sample(self, n, context=None):
        if context is None:
            return torch.ones(n, 33)
        return (context[..., 33:66] + 1).expand(n, *context.shape[:-1], 33)


class Runaway(Echo):
    """Draws infinity next."""

    def sample(self, n, context=None):
        return super().sample(n, context) / (context[..., -1:] == 0)


class SometimesRunaway(Echo):
    """Draws a value for the middle one of three clips, in the last frame but one."""

    def __init__(self, value):
        self.value = value

    def sample(self, n, context=None):
        drawn = super().sample(n, context).double()
        if len(context) == 3 and context[0, -1] > 21.5 / 23:
            drawn[:, 1, 5] = self.value
        return drawn


def test_samples_of_clips(fsdd, tmp_path):
    data = load(fsdd, window="sequence")
    clips = sample_clips(Echo(), data, n=3)
    assert clips.shape == (3, 24, 33)
    np.testing.assert_allclose(np.diff(clips, axis=1), 1, rtol=1e-4)
    save_spectrograms(clips, tmp_path / "new" / "clips.png")
    assert (tmp_path / "new" / "clips.png").stat().st_size > 1000
    whole = sample_clips(Echo(), load(fsdd), n=3)
    assert whole.shape == (3, 1, 33)
    save_spectrograms(whole, tmp_path / "new" / "whole.png")
    with pytest.raises(ValueError, match="frame 2 of the drawn clips is not finite"):
        sample_clips(Runaway(), data, n=3)
    for value in (torch.inf, torch.nan, 1e39, 0.0, 1e-50):  # in float32 inf, nan, 0
        found = sample_clips(SometimesRunaway(value), data, n=3)
        np.testing.assert_array_equal(found, clips[:2])
    with pytest.raises(ValueError, match="label=None is not one of the labels"):
        sample_clips(Echo(), load(fsdd, label_context=True), n=3)


def test_clips_are_resampled(tmp_path):
    t = np.arange(8000) / 8000
    for n in range(15):
        tone = 0.5 * np.sin(2 * np.pi * 500 * t) + 0.001 * noise(n, 8000)
        write_clip(tmp_path / "fsdd" / "tone" / f"ann_nohash_{n}.wav", tone, rate=8000)
    data = load(tmp_path / "fsdd", magnitude="linear", standardize=False)
    assert (data.raw.x["test"].argmax(-1) == round(500 / RATE * 64)).all()
    samples = resample(noise(0, 800).astype(np.float32), rate=8000, to=4000)
    assert samples.shape == (400,)


def test_of_several_channels_the_mean_counts(fsdd):
    mono = load(fsdd).raw.x["test"][:]
    for path in fsdd.rglob("*.wav"):
        samples, rate = soundfile.read(path)
        channels = np.stack([np.zeros(len(samples)), 1.5 * samples, 1.5 * samples], axis=1)
        soundfile.write(path, channels, rate, subtype="FLOAT")
    np.testing.assert_allclose(load(fsdd).raw.x["test"], mono, rtol=1e-4)


def test_mel_filters(fsdd):
    bank = mel_filters(33, 8, rate=RATE)
    data = load(fsdd, mel=8, magnitude="linear", standardize=False)
    plain = load(fsdd, magnitude="linear", standardize=False)
    assert data.features == 8
    np.testing.assert_allclose(data.raw.x["val"], plain.raw.x["val"] @ bank, rtol=1e-4)
    hertz = np.linspace(0, RATE / 2, 33)
    centres = hertz[bank.argmax(0)]
    mel = 2595 * np.log10(1 + hertz[-1] / 700) * np.arange(1, 9) / 9
    assert (np.abs(centres - 700 * (10 ** (mel / 2595) - 1)) <= hertz[1]).all()
    with pytest.raises(DataError, match=r"data\.mel=40 is too many for 33 coefficients"):
        load(fsdd, mel=40)


def test_speakers_stay_in_one_split(tmp_path):
    for speaker in range(12):
        for n in range(3):
            write_clip(tmp_path / "own" / "yes" / f"s{speaker}_nohash_{n}.wav", noise(n, 900))
    write_clip(tmp_path / "own" / "_background_noise_" / "rain.wav", noise(0, 900))
    data = load(tmp_path / "own", SoundFolder, fractions=[0.6, 0.2, 0.2])
    speakers = {s: {name.split("_")[0] for _, name in data.clips[s]} for s in data.clips}
    assert sum(map(len, speakers.values())) == 12
    assert set.union(*speakers.values()) == {f"s{index}" for index in range(12)}
    assert [len(speakers[split]) for split in ("train", "val", "test")] == [8, 2, 2]
    assert data.labels == ["yes"]
    with pytest.raises(DataError, match="at least three speakers, got"):
        speaker_splits([Clip("yes", "ann_nohash_0", Path())], fractions=[0.8, 0.1, 0.1])


def test_clips_may_go_after_conversion(fsdd):
    before = load(fsdd).raw.x["train"][:]
    shutil.rmtree(fsdd)
    np.testing.assert_array_equal(load(fsdd).raw.x["train"], before)
