"""What of a clip does not say which word it is, taken out: loudness, pauses, tempo, voice."""

import numpy as np
from numpy.typing import NDArray

from flowbench.data.options import DataError
from flowbench.data.sound.spectrogram import Framing

__all__ = ["at_level", "cepstra", "normalized", "stretched", "trimmed"]

ALIKE = 1e-6  # standard deviation of logarithms over frames


def at_level(samples: NDArray[np.floating], framing: Framing, level: float) -> NDArray[np.float64]:
    """Samples `[n]`, scaled so that the loudest frame has this root mean square.

    Raises:
        DataError: all of them are 0.
    """
    loudest = _energies(samples, framing).max()
    if not loudest > 0:
        raise DataError(f"is silent, so that it cannot be brought to data.level={level:g}")
    return samples * (level / np.sqrt(loudest))


def trimmed(
    samples: NDArray[np.floating], framing: Framing, decibels: float
) -> NDArray[np.floating]:
    """Samples from the first to the last frame that is at most so much below the loudest one.

    Example:
        >>> framing = Framing(window="frames", frame_length=4, frame_step=2, fft_length=4)
        >>> samples = np.array([0, 0, 0, 0, 0, 0, 8, 8, 8, 8, 1, 1, 1, 1])
        >>> trimmed(samples, framing, 10)
        array([0, 0, 8, 8, 8, 8, 1, 1])
    """
    energies = _energies(samples, framing)
    kept = np.flatnonzero(energies >= energies.max() * 10 ** (-decibels / 10))
    end = kept[-1] * framing.frame_step + framing.frame_length
    whole = kept[-1] == len(energies) - 1  # with samples that fill no frame
    return samples[kept[0] * framing.frame_step : None if whole else end]


def stretched(magnitudes: NDArray[np.floating], frames: int) -> NDArray[np.floating]:
    """Magnitudes `[n, coefficients]` at so many points of time, from the first frame to the last.

    Example:
        >>> stretched(np.array([[0.0], [1.0], [4.0]]), 5).tolist()
        [[0.0], [0.5], [1.0], [2.5], [4.0]]
    """
    times = np.linspace(0, len(magnitudes) - 1, frames)
    before = np.minimum(times.astype(int), max(0, len(magnitudes) - 2))
    after = np.minimum(before + 1, len(magnitudes) - 1)
    share = (times - before)[:, None]
    return (1 - share) * magnitudes[before] + share * magnitudes[after]


def cepstra(magnitudes: NDArray[np.floating], count: int) -> NDArray[np.float64]:
    r"""The first cepstral coefficients of frames, `[..., count]`.

    They are the orthonormal cosine transform of the logarithms of M magnitudes,

    $$ c_k = \sqrt{\tfrac{2 - [k = 0]}{M}} \sum_{m=0}^{M-1}
       \log a_m \cos\left(\frac{\pi k (2 m + 1)}{2 M}\right). $$

    Args:
        magnitudes: positive ones, `[..., M]`.
        count: of the coefficients, at most M.

    Raises:
        DataError: a magnitude is 0.

    Example:
        >>> cepstra(np.full((1, 4), np.e), 2).round(6) + 0
        array([[2., 0.]])
    """
    if not (magnitudes > 0).all():
        raise DataError(
            "has a magnitude of 0, which has no logarithm; give data.floor=3e-5, noise of one "
            "step of 16-bit sound"
        )
    m, k = np.arange(size := magnitudes.shape[-1])[:, None], np.arange(count)
    basis = np.cos(np.pi * k * (2 * m + 1) / (2 * size)) * np.sqrt((2 - (k == 0)) / size)
    return np.log(magnitudes.astype(np.float64)) @ basis


def normalized(values: NDArray[np.floating]) -> NDArray[np.floating]:
    """Values `[frames, coefficients]` of a clip, with mean 0 and variance 1 over its frames.

    Raises:
        DataError: all frames are alike.
    """
    deviation = values.std(0)
    if not (deviation > ALIKE).all():
        raise DataError(
            "has frames that are all alike, which cannot be scaled to variance 1 "
            "(data.normalize=clip)"
        )
    return (values - values.mean(0)) / deviation


def _energies(samples: NDArray[np.floating], framing: Framing) -> NDArray[np.float64]:
    """Mean squares of frames `[frames]`; of fewer samples than a frame, of them all."""
    sums = np.concatenate([[0.0], np.cumsum(np.square(samples, dtype=np.float64))])
    length = min(framing.frame_length, len(samples))
    starts = np.arange(0, len(samples) - length + 1, framing.frame_step)
    return np.maximum(sums[starts + length] - sums[starts], 0) / length
