"""How clips become features: the options, and which of them exclude each other."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from flowbench.config.limits import AtLeastOne, NotNegative, Positive
from flowbench.data.options import DataError
from flowbench.data.sound.spectrogram import Framing, Window

__all__ = ["FeatureOptions"]

FEWEST = 4  # frames whose values, scaled to mean 0 and variance 1, have a bounded density


@dataclass(frozen=True, kw_only=True)
class FeatureOptions:
    """How clips are converted to magnitudes or cepstra.

    Args:
        window: what a row is: "article", "whole" (a spectrum per clip), "frames" (all of a clip)
            or "sequence" (one frame, given earlier ones).
        mel: number of mel filters applied to the coefficients; None: no filters.
        floor: standard deviation of the white noise added to samples in [−1, 1]; one step of
            16-bit audio is 3.05e-5. 0: no noise, and silent clips are refused.
        sample_rate: sampling rate in Hz; clips at other rates are resampled.
        seconds: length to which clips are cut, or padded at the end.
        frame_ms: length of a frame in milliseconds.
        step_ms: hop from one frame to the next, in milliseconds.
        fft_length: samples per Fourier transform, giving fft_length/2 + 1 coefficients; None: the
            smallest power of two that holds a frame (512 at 16 kHz, 256 at 8 kHz). Only "article"
            and "whole" allow one shorter than a frame, of which TensorFlow would transform only
            the first samples.
        level: root mean square to which the loudest frame of every clip is scaled; None: clips
            are as loud as they are.
        trim_db: leave out both ends of a clip as far as their frames are so many decibels quieter
            than the loudest one; None: keep them.
        frames: number of frames that every clip is interpolated to, whatever its length (up to
            `seconds`), without padding; None: a clip has the frames that `seconds` hold.
        cepstra: number of cepstral coefficients: the first of the discrete cosine transform of the
            logarithm of a frame; None: magnitudes.
        normalize: "clip": scale the cepstra of every clip to mean 0 and variance 1 over its
            frames, which leaves out the voice and the microphone; None: leave them.

    Raises:
        DataError: options exclude each other, one line for each fault.
    """

    window: Window = "whole"
    mel: AtLeastOne | None = None
    floor: NotNegative = 3e-5
    sample_rate: AtLeastOne = 16_000
    seconds: Positive = 1.0
    frame_ms: Positive = 30.0
    step_ms: Positive = 10.0
    fft_length: AtLeastOne | None = None
    level: Positive | None = None
    trim_db: Positive | None = None
    frames: AtLeastOne | None = None
    cepstra: AtLeastOne | None = None
    normalize: Literal["clip"] | None = None

    def __post_init__(self) -> None:
        if problems := [f"data.{problem}" for problem in self._problems()]:
            raise DataError("\n".join(problems))

    @property
    def length(self) -> int:
        """Samples per clip, at most."""
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

    @property
    def one_spectrum(self) -> bool:
        """Whether a clip has a single spectrum, instead of one per frame."""
        return self.window in ("article", "whole")

    @property
    def interpolated(self) -> int | None:
        """Number of frames that clips are interpolated to; None: they are not."""
        return None if self.one_spectrum else self.frames

    @property
    def normalized(self) -> bool:
        """Whether every clip is scaled to mean 0 and variance 1 over its frames."""
        return self.normalize is not None and self.cepstra is not None

    @property
    def frame_count(self) -> int:
        """Frames per clip."""
        if self.one_spectrum:
            return 1
        framing = self.framing
        return self.frames or 1 + (self.length - framing.frame_length) // framing.frame_step

    @property
    def magnitudes(self) -> int:
        """Magnitudes per frame."""
        return self.mel or self.framing.fft_length // 2 + 1

    def tied(self, context_frames: int) -> Iterator[str]:
        """Why frames that are given so many earlier ones have no bounded density, if so."""
        count, given = self.frame_count, f"context_frames={context_frames}"
        if self.window != "sequence":
            return
        if self.frames is not None and context_frames:
            yield (
                f"{given}: data.frames={count} interpolates between the frames of a clip, so that "
                "a frame given earlier ones has no bounded density; expected data.context_frames=0"
            )
        elif self.normalized and context_frames > count - FEWEST:
            yield (
                f"{given}: data.normalize=clip fixes mean and variance over the {count} frames of "
                f"a clip; expected at most {count - FEWEST}"
            )

    def _problems(self) -> Iterator[str]:
        framing = self.framing
        if framing.frame_length > self.length:
            yield f"frame_ms={self.frame_ms} is longer than data.seconds={self.seconds}"
        elif self.normalized and self.frame_count < FEWEST:
            yield (
                f"normalize=clip: clips have {self.frame_count} of the {FEWEST} frames or more "
                "whose values still vary freely; expected data.window=sequence and more frames"
            )
        if not self.one_spectrum and framing.frame_length > framing.fft_length:
            yield (
                f"fft_length={self.fft_length} crops a frame of {framing.frame_length} samples "
                f"(data.frame_ms={self.frame_ms} at {self.sample_rate} Hz), expected at least as "
                "many, or null"
            )
        if self.cepstra is not None and self.cepstra > self.magnitudes:
            yield (
                f"cepstra={self.cepstra}: a frame has {self.magnitudes} magnitudes, expected at "
                "most as many"
            )
        if self.window == "frames" and self.frames is not None:
            yield (
                f"frames={self.frames} interpolates between the frames of a clip, so that all of "
                "them together (data.window=frames) have no bounded density; expected "
                "data.window=sequence data.context_frames=0"
            )
        if self.window == "frames" and self.normalized:
            yield (
                "normalize=clip fixes mean and variance of a clip, so that all of its frames "
                "together (data.window=frames) have no bounded density; expected "
                "data.window=sequence"
            )
