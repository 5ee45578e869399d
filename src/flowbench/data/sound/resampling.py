r"""Sound at another sampling rate, by windowed sinc interpolation at any ratio of rates.

With input xₖ at rate r, output at rate R and the cutoff c = 0.99 · min(r, R),

$$ y_j = \frac{c}{r} \sum_k x_k\, \mathrm{sinc}(t)\, \cos^2\!\left(\frac{\pi t}{12}\right),
   \qquad t = c \left(\frac{k}{r} - \frac{j}{R}\right), \quad |t| < 6. $$

These are the defaults of `torchaudio.functional.resample`, whose kernel holds one row per phase
for all rates, and so grows with their product where they have no common divisor.
"""

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["resample", "samples_needed"]

LOBES = 6
ROLLOFF = 0.99
MOST_WEIGHTS = 2**20  # in memory at a time


def resample(samples: NDArray[np.float32], *, rate: int, to: int) -> NDArray[np.float32]:
    """Samples `[n]` at another rate, `[⌈n · to / rate⌉]`, in bounded memory beside them.

    Args:
        samples: at the first rate.
        rate: their sampling rate in Hz.
        to: the other sampling rate in Hz.

    Example:
        >>> tone = np.sin(2 * np.pi * 100 * np.arange(44_101) / 44_101).astype(np.float32)
        >>> slow = resample(tone, rate=44_101, to=8000)
        >>> wanted = np.sin(2 * np.pi * 100 * np.arange(8000) / 8000)
        >>> len(slow), bool(np.abs(slow - wanted)[100:-100].max() < 0.01)
        (8000, True)
    """
    if rate == to:
        return samples
    reach = _reach(rate, to)
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(samples, reach), 2 * reach + 1)
    result = np.empty(-(-len(samples) * to // rate), np.float32)
    few = to // math.gcd(rate, to) * (2 * reach + 1) <= MOST_WEIGHTS
    for start in range(0, len(result), step := max(1, MOST_WEIGHTS // (2 * reach + 1))):
        places, phases = np.divmod(np.arange(start, min(start + step, len(result))) * rate, to)
        weights = (
            _all_weights(rate, to)[phases // math.gcd(rate, to)]
            if few
            else _weights(phases, rate, to)
        )
        result[start : start + step] = np.einsum("jk,jk->j", windows[places], weights)
    return result


def samples_needed(count: int, *, rate: int, to: int) -> int:
    """How many samples at the first rate determine the first `count` at the other.

    Example:
        >>> samples_needed(8000, rate=8000, to=8000), samples_needed(8000, rate=16_000, to=8000)
        (8000, 16013)
    """
    return count if rate == to else -(-count * rate // to) + _reach(rate, to)


def _reach(rate: int, to: int) -> int:
    """How many samples on either side enter a sample at the other rate."""
    return math.ceil(LOBES * rate / (ROLLOFF * min(rate, to)))


@lru_cache(maxsize=4)
def _all_weights(rate: int, to: int) -> NDArray[np.float64]:
    return _weights(np.arange(0, to, math.gcd(rate, to)), rate, to)


def _weights(phases: NDArray[np.int64], rate: int, to: int) -> NDArray[np.float64]:
    """The weights of samples −reach … reach, for outputs phase/(rate · to) seconds after 0."""
    reach = _reach(rate, to)
    t = np.arange(-reach, reach + 1) / rate - phases[:, None] / (rate * to)
    t = np.clip(t * (ROLLOFF * min(rate, to)), -LOBES, LOBES)
    scale = ROLLOFF * min(rate, to) / rate
    return scale * np.sinc(t) * np.cos(np.pi * t / (2 * LOBES)) ** 2
