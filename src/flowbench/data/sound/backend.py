"""Mel filter banks, and sound from magnitudes: torchaudio, imported lazily."""

import importlib
import sys
import warnings
from types import ModuleType

import numpy as np
import torch
from numpy.typing import NDArray

from flowbench.data.options import DataError
from flowbench.extras import how_to_install

__all__ = ["griffin_lim", "mel_filters"]

ITERATIONS = 64


def mel_filters(coefficients: int, filters: int, *, rate: int) -> NDArray[np.float64]:
    """Triangular filters on the mel scale from 0 to rate/2, `[coefficients, filters]`.

    Args:
        coefficients: number of spectral coefficients, from 0 to rate/2.
        filters: number of filters.
        rate: sampling rate in Hz.

    Raises:
        DataError: there are so many that one falls between two coefficients; torchaudio is not
            installed.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of empty filters, which are refused below
        bank = _functional().melscale_fbanks(coefficients, 0.0, rate / 2, filters, rate).double()
    empty = (bank.sum(0) == 0).nonzero()
    if len(empty):
        raise DataError(
            f"data.mel={filters} is too many for {coefficients} coefficients: filter "
            f"{int(empty[0]) + 1} lies between two of them"
        )
    return bank.numpy()


def griffin_lim(magnitudes: torch.Tensor, window: torch.Tensor, *, step: int) -> torch.Tensor:
    """Audio `[clips, samples]` from magnitudes `[clips, fft_length/2 + 1, frames]`.

    Frame i is centred on sample i · step.

    Raises:
        DataError: torchaudio is not installed.
    """
    return _functional().griffinlim(
        magnitudes,
        window,
        n_fft=2 * (magnitudes.shape[1] - 1),
        hop_length=step,
        win_length=len(window),
        power=1.0,
        n_iter=ITERATIONS,
        momentum=0.99,
        length=None,
        rand_init=True,
    )


def _functional() -> ModuleType:
    """`torchaudio.functional`, without its compiled extension if incompatible with torch."""
    try:
        return importlib.import_module("torchaudio.functional")
    except ModuleNotFoundError as error:
        raise DataError(
            f"mel filters and sound from spectra need torchaudio: {how_to_install('sound')}"
        ) from error
    except OSError:
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchaudio"]:
            del sys.modules[name]
        extension = ModuleType("torchaudio._extension")
        vars(extension).update(
            _IS_TORCHAUDIO_EXT_AVAILABLE=False,
            _IS_ALIGN_AVAILABLE=False,
            fail_if_no_align=lambda function: function,
            _check_cuda_version=lambda: None,
        )
        sys.modules[extension.__name__] = extension
        return importlib.import_module("torchaudio.functional")
