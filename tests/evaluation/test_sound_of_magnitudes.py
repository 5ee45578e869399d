"""Spectrograms become sound that has them; samples of runs become sound files."""

import importlib.util

import numpy as np
import pytest
import torch
from real_data import real

from flowbench.data import DataError
from flowbench.data.sound.backend import mel_filters
from flowbench.data.sound.feature_options import FeatureOptions
from flowbench.data.sound.files import read_sound
from flowbench.data.sound.spectrogram import fit_length, stft_magnitudes
from flowbench.evaluation.sound import to_sound

pytest.importorskip("soundfile", reason="sound needs soundfile: pip install -e '.[sound]'")
if importlib.util.find_spec("torchaudio") is None:
    pytest.skip("sound needs torchaudio: pip install -e '.[sound]'", allow_module_level=True)
RATE = 8000


def options(**changes):
    default = {"window": "frames", "mel": None, "floor": 0.0, "sample_rate": RATE, "seconds": 0.5}
    default |= {"frame_ms": 30.0, "step_ms": 10.0, "fft_length": None}
    return FeatureOptions(**default | changes)


def chirp():
    """From 300 to 1500 Hz, with a pause in the middle; in the second clip backwards, and quiet."""
    t = np.arange(RATE // 2) / RATE
    sound = 0.5 * np.sin(2 * np.pi * (300 * t + 1200 * t**2)) * (abs(t - 0.25) > 0.05)
    return np.stack([sound, 0.2 * sound[::-1]])


def magnitudes_of(sound, chosen):
    magnitudes = stft_magnitudes(torch.from_numpy(sound).double(), chosen.framing).numpy()
    if chosen.mel is None:
        return magnitudes
    return magnitudes @ mel_filters(magnitudes.shape[-1], chosen.mel, rate=chosen.sample_rate)


def distance(found, expected):
    """Of the Frobenius norm, the share by which magnitudes differ."""
    return np.linalg.norm(found - expected) / np.linalg.norm(expected)


@pytest.mark.parametrize(
    ("changes", "most"),
    [
        ({}, 0.1),
        ({"fft_length": 512}, 0.1),
        ({"frame_ms": 25.0, "step_ms": 7.0}, 0.1),
        ({"window": "sequence"}, 0.1),
        ({"mel": 40}, 0.2),
        ({"mel": 32, "seconds": 0.6}, 0.2),
    ],
)
def test_sound_has_the_magnitudes_that_it_was_made_of(changes, most):
    torch.manual_seed(0)
    chosen = options(**changes)
    sound = np.pad(chirp(), ((0, 0), (0, chosen.length - RATE // 2)))
    magnitudes = magnitudes_of(sound, chosen)
    found = to_sound(magnitudes, chosen)
    assert found.shape == sound.shape
    for clip, expected in zip(found, magnitudes, strict=True):
        assert distance(magnitudes_of(clip[None], chosen)[0], expected) < most
        assert np.abs(clip).max() <= 1


def test_loud_sound_is_turned_down_and_negative_magnitudes_are_none():
    torch.manual_seed(0)
    chosen = options()
    magnitudes = magnitudes_of(chirp(), chosen)
    loud = to_sound(100 * magnitudes, chosen)
    assert np.abs(loud).max() == pytest.approx(1.0)
    assert not to_sound(-magnitudes, chosen).any()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"window": "whole"}, "data.window=whole keeps one spectrum"),
        ({"window": "article", "fft_length": 512}, "data.window=article keeps one spectrum"),
        ({"step_ms": 30.0}, "data.step_ms=30.0: frames that do not overlap"),
        ({"window": "sequence", "frames": 9}, "data.frames=9 leaves out how long a clip is"),
        ({"cepstra": 5}, "data.cepstra=5 are not magnitudes"),
        (
            {"window": "sequence", "cepstra": 5, "normalize": "clip"},
            "data.normalize=clip leaves out mean and deviation of a clip .*; data.cepstra=5",
        ),
    ],
)
def test_what_has_no_sound_is_refused(changes, message):
    with pytest.raises(DataError, match=message):
        to_sound(np.ones((1, 1, 129)), options(**changes))


def test_a_spoken_word_keeps_its_mel_spectrum():
    clip = real("fsdd/zero/jackson_nohash_0.wav")
    torch.manual_seed(0)
    chosen = options(mel=32, seconds=0.6, frame_ms=25.0)
    sound = fit_length(read_sound(clip)[0], chosen.length)[None]
    magnitudes = magnitudes_of(sound, chosen)
    assert distance(magnitudes_of(to_sound(magnitudes, chosen), chosen), magnitudes) < 0.2
