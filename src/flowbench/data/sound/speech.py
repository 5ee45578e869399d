"""Speech Commands, the Free Spoken Digit Dataset, and the user's own recordings."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from flowbench.data.base import SPLITS, DataError
from flowbench.data.sound.base import Magnitude, SoundDataModule
from flowbench.data.sound.clips import Clip, hash_split, speaker_splits
from flowbench.data.sound.spectrogram import Window

__all__ = ["Fsdd", "SoundFolder", "SpeechCommands"]


class SpeechCommands(SoundDataModule):
    """Single words of one second by thousands of speakers, at 16 kHz: v0.01 (30 words) or v0.02.

    The split is the official one, by the hash of the speaker: about 80, 10 and 10 %. See Warden
    2018 (arXiv:1804.03209). The options are those of `SoundDataModule`.
    """

    name = "speech_commands"
    source = (
        "data/speech_commands_v0.02.tar.gz (or v0.01) of http://download.tensorflow.org holds it"
    )

    def splits(self, clips: Sequence[Clip]) -> Mapping[str, Sequence[Clip]]:
        """By the hash of the speaker."""
        return _grouped(clips, [hash_split(clip.speaker) for clip in clips])


class Fsdd(SoundDataModule):
    """The Free Spoken Digit Dataset: ten digits by 6 speakers, 50 times each, at 8 kHz.

    Recordings 0 … 4 of each speaker and digit are test (the official split), 5 … 9 validation, the
    rest train: 2,400 / 300 / 300 clips `<digit>/<speaker>_nohash_<n>.wav`. The options are those
    of `SoundDataModule`.
    """

    name = "fsdd"
    source = "it comes from https://github.com/Jakobovski/free-spoken-digit-dataset"
    own_rate = 8_000

    def splits(self, clips: Sequence[Clip]) -> Mapping[str, Sequence[Clip]]:
        """By the number of the recording.

        Raises:
            DataError: a file has another name.
        """
        return _grouped(clips, [_fsdd_split(clip) for clip in clips])


class SoundFolder(SoundDataModule):
    """The user's own clips `<label>/<clip>.wav`.

    No speaker is in two splits: who speaks is the part of the name before `_nohash_`; a name
    without it counts as a speaker of its own.

    Args:
        path: the folder.
        fractions: of the clips for train, val, test, about; they sum to 1.
        train_label, label_context, test_speaker, window, context_frames, magnitude, standardize,
            mel, floor, sample_rate, seconds, frame_ms, step_ms, fft_length: see `SoundDataModule`.
        cache_dir: folder of the converted arrays.
        batch_size: rows per optimiser step.
        seed: of the order of batches.
    """

    name = "sound"
    source = "data.path names a folder of clips"

    def __init__(
        self,
        *,
        path: str | Path,
        fractions: Sequence[float] = (0.8, 0.1, 0.1),
        train_label: str | None = None,
        label_context: bool = False,
        test_speaker: str | None = None,
        window: Window = "whole",
        context_frames: int = 2,
        magnitude: Magnitude = "log",
        standardize: bool = True,
        mel: int | None = None,
        floor: float = 3e-5,
        sample_rate: int | None = None,
        seconds: float = 1.0,
        frame_ms: float = 30.0,
        step_ms: float = 10.0,
        fft_length: int | None = None,
        cache_dir: str | Path = "cache",
        batch_size: int = 256,
        seed: int = 0,
    ) -> None:
        super().__init__(
            path=path,
            train_label=train_label,
            label_context=label_context,
            test_speaker=test_speaker,
            window=window,
            context_frames=context_frames,
            magnitude=magnitude,
            standardize=standardize,
            mel=mel,
            floor=floor,
            sample_rate=sample_rate,
            seconds=seconds,
            frame_ms=frame_ms,
            step_ms=step_ms,
            fft_length=fft_length,
            cache_dir=cache_dir,
            batch_size=batch_size,
            seed=seed,
        )
        if len(fractions) != 3 or min(fractions) <= 0 or abs(sum(fractions) - 1) > 1e-6:
            raise DataError(
                f"data.fractions must be three positive numbers with sum 1, got {list(fractions)}"
            )
        self.fractions = list(fractions)

    def options(self) -> dict[str, Any]:
        """What else changes the conversion."""
        return super().options() | {"fractions": self.fractions}

    def splits(self, clips: Sequence[Clip]) -> Mapping[str, Sequence[Clip]]:
        """By speaker."""
        split_of = speaker_splits(clips, fractions=self.fractions)
        return _grouped(clips, [split_of[clip.speaker] for clip in clips])


def _grouped(clips: Sequence[Clip], splits: Sequence[str]) -> dict[str, list[Clip]]:
    pairs = list(zip(clips, splits, strict=True))
    return {split: [clip for clip, other in pairs if other == split] for split in SPLITS}


def _fsdd_split(clip: Clip) -> str:
    if clip.number is None:
        raise DataError(f"{clip.path}: expected a name <speaker>_nohash_<n>.wav")
    return "test" if clip.number < 5 else "val" if clip.number < 10 else "train"
