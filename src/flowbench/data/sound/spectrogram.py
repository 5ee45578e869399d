r"""Magnitude spectra of audio, framed as in TensorFlow."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["Framing", "Window", "fit_length", "stft_magnitudes", "stft_window"]

Window = Literal["article", "whole", "frames", "sequence"]


@dataclass(frozen=True, kw_only=True)
class Framing:
    """How a clip is divided into frames before the transform.

    Attributes:
        window: "article" or "whole"; anything else means frames.
        frame_length: samples per frame.
        frame_step: samples from one frame to the next.
        fft_length: samples per Fourier transform, giving fft_length/2 + 1 coefficients.
    """

    window: Window
    frame_length: int
    frame_step: int
    fft_length: int


def stft_magnitudes(samples: Tensor, framing: Framing) -> Tensor:
    r"""Magnitudes `[clips, frames, fft_length/2 + 1]` of clips `[clips, samples]`.

    With the periodic Hann window w of the frame length and N = fft_length:

    * frames: |Σₙ w[n] x[n] e^{−2πikn/N}| over the first N samples of each frame, zero-padded if it
      is shorter; there are 1 + ⌊(samples − frame_length) / frame_step⌋ frames;
    * article: the same with the whole clip as the only frame, so that only its first N samples,
      where the window is close to 0, are transformed;
    * whole: the same sum over *all* samples of the clip: its true spectrum at the same N/2 + 1
      frequencies. (The clip is folded: x[n], x[n + N], x[n + 2N], … share e^{−2πikn/N}.)

    Args:
        samples: clips of equal length, at least one frame long.
        framing: how they are divided into frames.

    Example:
        >>> framing = Framing(window="frames", frame_length=480, frame_step=160, fft_length=512)
        >>> stft_magnitudes(torch.zeros(1, 16000), framing).shape
        torch.Size([1, 98, 257])
    """
    n = framing.fft_length
    if framing.window in ("article", "whole"):
        frames = (samples * _hann(samples)).unsqueeze(-2)
    else:
        frames = samples.unfold(-1, framing.frame_length, framing.frame_step)
        frames = frames * _hann(frames)
    if framing.window == "whole":
        padding = -frames.shape[-1] % n
        frames = torch.nn.functional.pad(frames, (0, padding)).unflatten(-1, (-1, n)).sum(-2)
    return torch.fft.rfft(frames[..., :n], n=n).abs()


def stft_window(framing: Framing) -> Tensor:
    """The window of a frame, float64 `[frame_length]`."""
    return torch.hann_window(framing.frame_length, periodic=True, dtype=torch.float64)


def _hann(frames: Tensor) -> Tensor:
    return torch.hann_window(frames.shape[-1], periodic=True, dtype=frames.dtype)


def fit_length(samples: NDArray[np.float32], length: int) -> NDArray[np.float64]:
    """Samples truncated to a length, or zero-padded at the end.

    Example:
        >>> fit_length(np.ones(2, np.float32), 3).tolist()
        [1.0, 1.0, 0.0]
    """
    fitted = np.zeros(length)
    fitted[: len(samples)] = samples[:length]
    return fitted
