r"""Magnitudes of sound, framed as TensorFlow frames it."""

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
    """How a clip is cut before it is transformed.

    Attributes:
        window: "article", "whole", or else frames.
        frame_length: samples of a frame.
        frame_step: samples from one frame to the next.
        fft_length: samples that are transformed, giving fft_length/2 + 1 coefficients.
    """

    window: Window
    frame_length: int
    frame_step: int
    fft_length: int


def stft_magnitudes(samples: Tensor, framing: Framing) -> Tensor:
    r"""Magnitudes `[clips, frames, fft_length/2 + 1]` of clips `[clips, samples]`.

    With the periodic Hann window w of the length of a frame and N = fft_length,

    * frames: |Σₙ w[n] x[n] e^{−2πikn/N}| over the first N samples of each frame, zeros added where
      it is shorter; there are 1 + ⌊(samples − frame_length) / frame_step⌋ frames;
    * article: the same with the whole clip as the only frame, so that just its first N samples,
      where the window hardly rises above 0, are transformed;
    * whole: the same sum over *all* samples of the clip: its true spectrum at the same N/2 + 1
      frequencies. (The clip is folded: x[n], x[n + N], x[n + 2N], … share e^{−2πikn/N}.)

    Args:
        samples: clips of one length, at least a frame.
        framing: how they are cut.

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
    """Samples cut at a length, or padded with zeros at the end.

    Example:
        >>> fit_length(np.ones(2, np.float32), 3).tolist()
        [1.0, 1.0, 0.0]
    """
    fitted = np.zeros(length)
    fitted[: len(samples)] = samples[:length]
    return fitted
