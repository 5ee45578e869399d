"""Spectrograms turned back into sound."""

import math
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from flowbench.data import DataError
from flowbench.data.sound.backend import griffin_lim, mel_filters
from flowbench.data.sound.feature_options import FeatureOptions
from flowbench.data.sound.spectrogram import stft_window

__all__ = ["to_sound"]


def to_sound(magnitudes: NDArray[np.floating], options: FeatureOptions) -> NDArray[np.float32]:
    r"""Sound `[clips, samples]` whose frames have approximately the given magnitudes.

    Mel filters are undone by least squares. Phases, which magnitudes leave open, are found by
    Griffin and Lim's iteration, from phases drawn at random. What is louder than a file can hold
    is turned down, clip by clip.

    Args:
        magnitudes: `[clips, frames, coefficients]`; negative ones count as 0.
        options: how clips became magnitudes.

    Raises:
        DataError: a clip has but one spectrum, its frames do not overlap, or features leave out
            what sound needs.

    References:
        Griffin and Lim 1984, "Signal estimation from modified short-time Fourier transform";
        Perraudin et al. 2013, "A fast Griffin-Lim algorithm".
    """
    framing = options.framing
    if options.one_spectrum:
        raise DataError(
            f"data.window={framing.window} keeps one spectrum of a clip, which says nothing of "
            "its course in time: sound needs data.window=frames or sequence"
        )
    if lost := list(_left_out(options)):
        raise DataError(f"sound cannot be made of these features: {'; '.join(lost)}")
    window = stft_window(framing)
    if framing.frame_step >= len(window):
        raise DataError(
            f"data.step_ms={options.step_ms}: frames that do not overlap cannot be joined to sound"
        )
    linear = np.maximum(magnitudes if options.mel is None else _linear(magnitudes, options), 0)
    # torchaudio centres frame i on sample i · step; ours is centred half a window later.
    extra = math.ceil(framing.fft_length / 2 / framing.frame_step)
    frames = torch.nn.functional.pad(torch.from_numpy(linear).float().mT, (extra, extra + 1))
    sound = griffin_lim(frames, window.float(), step=framing.frame_step)
    start = extra * framing.frame_step - len(window) // 2
    sound = torch.nn.functional.pad(sound, (max(0, -start), options.length))[:, max(0, start) :]
    clips = sound[:, : options.length].numpy()
    return clips / np.maximum(1, np.abs(clips).max(-1, keepdims=True))


def _left_out(options: FeatureOptions) -> Iterator[str]:
    """What features leave out that sound needs, with the option that keeps it."""
    if options.normalized:
        yield "data.normalize=clip leaves out mean and deviation of a clip (null keeps them)"
    if options.cepstra is not None:
        yield f"data.cepstra={options.cepstra} are not magnitudes (null keeps these)"
    if options.frames is not None:
        yield f"data.frames={options.frames} leaves out how long a clip is (null keeps it)"


def _linear(magnitudes: NDArray[np.floating], options: FeatureOptions) -> NDArray[np.floating]:
    """Magnitudes before mel filters, by least squares."""
    coefficients = options.framing.fft_length // 2 + 1
    filters = mel_filters(coefficients, magnitudes.shape[-1], rate=options.sample_rate)
    return magnitudes @ np.linalg.pinv(filters)
