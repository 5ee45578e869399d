"""Converts clips to features, in one file per split."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from flowbench.data.chunks import chunks
from flowbench.data.options import DataError, refuse_together
from flowbench.data.sound.backend import mel_filters
from flowbench.data.sound.clips import Clip
from flowbench.data.sound.feature_options import FeatureOptions
from flowbench.data.sound.files import read_sound
from flowbench.data.sound.invariance import (
    at_level,
    cepstra,
    normalized,
    stretched,
    trimmed,
)
from flowbench.data.sound.resampling import resample, samples_needed
from flowbench.data.sound.spectrogram import fit_length, stft_magnitudes
from flowbench.disk import mapped_array

__all__ = ["write_features", "write_splits"]

CLIPS = 64  # transformed at a time


def write_splits(
    folder: Path, splits: Mapping[str, Sequence[Clip]], options: FeatureOptions
) -> None:
    """Write the features of every split to `<split>.npy` in a folder.

    Raises:
        DataError: as `write_features`, for all splits together.
    """
    refused: list[str] = []
    for split, clips in splits.items():
        try:
            write_features(folder / f"{split}.npy", clips, options)
        except DataError as error:
            refused.append(str(error))
    if refused:
        raise DataError("\n".join(dict.fromkeys(refused)))


def write_features(path: Path, clips: Sequence[Clip], options: FeatureOptions) -> None:
    """Write the features `[clips, frames, coefficients]` of clips, float32, as `.npy`.

    Raises:
        DataError: clips are not audio, are damaged, have fewer than two samples or cannot be
            normalised, one line for each; or one is silent and no noise is added.
    """
    coefficients = options.framing.fft_length // 2 + 1
    mel = np.eye(coefficients)
    if options.mel is not None:
        mel = mel_filters(coefficients, options.mel, rate=options.sample_rate)
    shape = (options.frame_count, options.cepstra or options.magnitudes)
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
        magnitudes = _magnitudes(samples, options, mel)
        silent = np.argwhere((magnitudes == 0).all(-1))
        if len(silent):
            clip, frame = silent[0]
            raise DataError(
                f"{clips[part][clip].path}: frame {frame + 1} is silent, where a density "
                "has no upper bound; give data.floor=3e-5, noise of one step of 16-bit sound"
            )
        for place, (clip, found) in enumerate(zip(clips[part], magnitudes, strict=True)):
            try:
                out[part.start + place] = _features(found, options)
            except DataError as error:
                refused.append(f"{clip.path} {error}")
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
    resampled = resample(samples, rate=rate, to=to)[: options.length]
    try:
        spoken = _comparable(resampled, options)
    except DataError as error:
        raise DataError(f"{clip.path} {error}") from error
    length = options.length
    if options.interpolated is not None:
        length = max(len(spoken), options.framing.frame_length)
    digest = hashlib.sha256(f"{clip.label}/{clip.name}".encode()).digest()
    noise = np.random.default_rng(int.from_bytes(digest[:8])).standard_normal(length)
    return fit_length(spoken, length) + options.floor * noise


def _comparable(samples: NDArray[np.floating], options: FeatureOptions) -> NDArray[np.floating]:
    """Samples as loud as the options say, without quiet ends."""
    if options.level is not None:
        samples = at_level(samples, options.framing, options.level)
    if options.trim_db is not None:
        samples = trimmed(samples, options.framing, options.trim_db)
    return samples


def _magnitudes(
    samples: Sequence[NDArray[np.float64]], options: FeatureOptions, mel: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Of clips, `[clips, frames, coefficients]`; their lengths differ where they are stretched."""
    if (frames := options.interpolated) is None:
        return _spectra(np.stack(samples), options, mel)
    return np.stack([stretched(_spectra(clip[None], options, mel)[0], frames) for clip in samples])


def _spectra(
    samples: NDArray[np.float64], options: FeatureOptions, mel: NDArray[np.float64]
) -> NDArray[np.float32]:
    magnitudes = stft_magnitudes(torch.from_numpy(samples), options.framing).numpy()
    return (magnitudes if options.mel is None else magnitudes @ mel).astype(np.float32)


def _features(magnitudes: NDArray[np.float32], options: FeatureOptions) -> NDArray[np.floating]:
    """Features of a clip `[frames, coefficients]`, from its magnitudes."""
    if options.cepstra is None:
        return magnitudes
    found = cepstra(magnitudes, options.cepstra)
    return normalized(found) if options.normalized else found
