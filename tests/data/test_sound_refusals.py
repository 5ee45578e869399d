"""Clips and options of sound that are refused, each in one sentence."""

import builtins
import re

import numpy as np
import pytest
import torch
from sound_clips import RATE, load, noise, sizes, soundfile, write_clip

from flowbench.data import DataError
from flowbench.data.sound.files import read_sound

BAD = [
    ({"train_label": "two"}, r"data\.train_label=two: no such label; known: one, zero"),
    ({"train_label": "one", "label_context": True}, "label_context=true needs several labels"),
    ({"floor": 0, "window": "frames"}, r"frame 21 is silent, .* data\.floor=3e-5"),
    ({"floor": -1}, r"data\.floor=-1: expected a number at least 0"),
    ({"sample_rate": 0}, r"data\.sample_rate=0: expected an integer at least 1"),
    ({"seconds": 0}, r"data\.seconds=0: expected a number above 0"),
    ({"frame_ms": 300}, r"data\.frame_ms=300 is longer than data\.seconds=0\.25"),
    ({"window": "frames", "fft_length": 62}, "data.fft_length=62 crops a frame of 64 samples"),
    ({"window": "sequence", "fft_length": 62}, r"\(data.frame_ms=16 at 4000 Hz\)"),
    ({"context_frames": -1}, r"data\.context_frames=-1: expected an integer at least 0"),
]


@pytest.mark.parametrize(("options", "message"), BAD)
def test_bad_option_is_one_sentence(fsdd, options, message):
    with pytest.raises(DataError, match=message):
        load(fsdd, **options)


def test_bad_clips_are_one_sentence(fsdd, tmp_path):
    with pytest.raises(DataError, match=r"<label>/<clip>\.wav is expected but does not exist"):
        load(tmp_path / "nowhere")
    (fsdd / "one" / "ann_nohash_3.wav").write_bytes(b"RIFF")
    with pytest.raises(DataError, match=r"ann_nohash_3\.wav is not a readable sound"):
        load(fsdd)
    (fsdd / "one" / "ann_nohash_3.wav").rename(fsdd / "one" / "ann3.wav")
    with pytest.raises(DataError, match=r"ann3\.wav: expected a name <speaker>_nohash_<n>\.wav"):
        load(fsdd)
    write_clip(tmp_path / "noise" / "_background_noise_" / "rain.wav", noise(0, 900))
    with pytest.raises(DataError, match=r"expected clips <label>/<clip>\.wav, found none"):
        load(tmp_path / "noise")


@pytest.mark.parametrize("place", ["stray.wav", "one/deeper/stray.wav", "one/_more_/stray.WAV"])
def test_a_clip_at_another_depth_is_refused(fsdd, place):
    write_clip(fsdd / "_background_noise_" / "of" / "rain.wav", noise(0, 900))
    load(fsdd)
    write_clip(fsdd / place, noise(0, 900))
    message = f"{fsdd / place}: expected <label>/<clip>.wav below {fsdd}"
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        load(fsdd)


WITHOUT_SOUND = [
    (np.zeros(0), RATE, "lasts 0 s, expected at least two samples at data.sample_rate=4000"),
    (np.ones(1), RATE, "lasts 0.00025 s, expected at least two samples"),
    (np.zeros(0), 11_025, "lasts 0 s"),
    (np.ones(2), 11_025, "lasts 0.000181406 s"),
    (np.where(np.arange(900) == 77, np.nan, 0.1), RATE, "sample 78 is nan"),
    (np.where(np.arange(900) == 77, -np.inf, 0.1), 11_025, "sample 78 is -inf"),
]


@pytest.mark.parametrize(("samples", "rate", "message"), WITHOUT_SOUND)
def test_a_clip_without_sound_is_named(fsdd, samples, rate, message):
    path = fsdd / "one" / "ann_nohash_3.wav"
    soundfile.write(path, samples, rate, subtype="FLOAT")
    with pytest.raises(DataError, match=f"{path}.*{message}"):
        load(fsdd)


def test_three_samples_at_another_rate_are_a_clip(fsdd):
    soundfile.write(fsdd / "one" / "ann_nohash_3.wav", np.ones(3), 11_025, subtype="FLOAT")
    assert torch.isfinite(load(fsdd).rows["test"].x).all()


def test_without_soundfile_it_says_so(fsdd, monkeypatch):
    plain = builtins.__import__

    def refuse(name, *args, **kwargs):
        if name == "soundfile":
            raise ModuleNotFoundError(name)
        return plain(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(DataError, match="sound files need soundfile"):
        read_sound(fsdd / "one" / "ann_nohash_0.wav")


def test_a_label_that_no_training_clip_has_is_no_context(fsdd):
    for number in (0, 1, 7):
        write_clip(fsdd / "two" / f"ann_nohash_{number}.wav", noise(number, 900))
    assert sizes(load(fsdd, train_label="zero")) == {"train": 8, "val": 10, "test": 10}
    message = "label_context=true: no training clip has the label 'two', which 1 of val, 2 of test"
    with pytest.raises(DataError, match=f"{fsdd}: data.{message} have"):
        load(fsdd, label_context=True)
