"""Converts clips to magnitudes, in one file per split."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from flowbench.data.chunks import chunks
from flowbench.data.options import DataError, refuse_together
from flowbench.data.sound.backend import mel_filters
from flowbench.data.sound.clips import Clip
from flowbench.data.sound.files import read_sound
from flowbench.data.sound.resampling import resample, samples_needed
from flowbench.data.sound.spectrogram import Framing, Window, fit_length, stft_magnitudes
from flowbench.disk import mapped_array

__all__ = ["FeatureOptions", "write_features"]

CLIPS = 64  # transformed at a time


@dataclass(frozen=True, kw_only=True)
class FeatureOptions:
    """How clips are converted to magnitudes; the attributes are options of `SoundDataModule`.

    Raises:
        DataError: a frame is longer than a clip, or than the Fourier transform.
    """

    window: Window
    mel: int | None
    floor: float
    sample_rate: int
    seconds: float
    frame_ms: float
    step_ms: float
    fft_length: int | None

    def __post_init__(self) -> None:
        if self.framing.frame_length > self.length:
            raise DataError(
                f"data.frame_ms={self.frame_ms} is longer than data.seconds={self.seconds}"
            )
        frame, whole = self.framing, self.window in ("article", "whole")
        if not whole and frame.frame_length > frame.fft_length:
            raise DataError(
                f"data.fft_length={self.fft_length} crops a frame of {frame.frame_length} samples "
                f"(data.frame_ms={self.frame_ms} at {self.sample_rate} Hz), expected at least as "
                "many, or null"
            )

    @property
    def length(self) -> int:
        """Samples per clip."""
        return round(self.seconds * self.sample_rate)

    @property
    def framing(self) -> Framing:
        """How a clip is divided into frames."""
        length = max(1, round(self.frame_ms * self.sample_rate / 1000))
        return Framing(
            window=self.window,
            frame_length=length,
            frame_step=max(1, round(self.step_ms * self.sample_rate / 1000)),
            fft_length=self.fft_length or 1 << (length - 1).bit_length(),
        )


def write_features(path: Path, clips: Sequence[Clip], options: FeatureOptions) -> None:
    """Write the magnitudes `[clips, frames, coefficients]` of clips, float32, as `.npy`.

    Raises:
        DataError: clips are not audio, are damaged or have fewer than two samples, one line for
            each; or one is silent and no noise is added.
    """
    coefficients = options.framing.fft_length // 2 + 1
    mel = np.eye(coefficients)
    if options.mel is not None:
        mel = mel_filters(coefficients, options.mel, rate=options.sample_rate)
    shape = _magnitudes(np.zeros((1, options.length)), options, mel).shape[1:]
    out = mapped_array(path, dtype=np.float32, shape=(len(clips), *shape))
    refused: list[str] = []
    for part in chunks(len(clips), values=CLIPS):
        samples = []
        for clip in clips[part]:
            try:
                samples.append(_samples(clip, options))
            except DataError as error:
                refused.append(str(error))
        if refused:
            continue
        out[part] = magnitudes = _magnitudes(np.stack(samples), options, mel)
        silent = np.argwhere((magnitudes == 0).all(-1))
        if len(silent):
            clip, frame = silent[0]
            raise DataError(
                f"{clips[part][clip].path}: frame {frame + 1} is silent, where a density "
                "has no upper bound; give data.floor=3e-5, noise of one step of 16-bit sound"
            )
    refuse_together(refused, what="clips")
    out.flush()


def _samples(clip: Clip, options: FeatureOptions) -> NDArray[np.float64]:
    to = options.sample_rate
    samples, rate = read_sound(
        clip.path, keep=lambda rate: samples_needed(options.length + 1, rate=rate, to=to)
    )
    if len(samples) * to <= rate:  # Hann windows begin with a zero
        raise DataError(
            f"{clip.path} lasts {len(samples) / rate:g} s, expected at least two samples at "
            f"data.sample_rate={to}"
        )
    fitted = fit_length(resample(samples, rate=rate, to=to), options.length)
    digest = hashlib.sha256(f"{clip.label}/{clip.name}".encode()).digest()
    noise = np.random.default_rng(int.from_bytes(digest[:8])).standard_normal(options.length)
    return fitted + options.floor * noise


def _magnitudes(
    samples: NDArray[np.float64], options: FeatureOptions, mel: NDArray[np.float64]
) -> NDArray[np.float32]:
    magnitudes = stft_magnitudes(torch.from_numpy(samples), options.framing).numpy()
    return (magnitudes if options.mel is None else magnitudes @ mel).astype(np.float32)
