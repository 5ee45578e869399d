"""Speech Commands, the Free Spoken Digit Dataset, and the user's own recordings."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from flowbench.config.limits import AtLeastOne, Share
from flowbench.config.options import options_of
from flowbench.data.download.tree import others_told
from flowbench.data.options import DataError, three_fractions
from flowbench.data.raw import SPLITS
from flowbench.data.sound.base import SoundDataModule
from flowbench.data.sound.clips import Clip, hash_split, speaker_splits
from flowbench.data.sound.files import SUFFIXES

__all__ = ["Fsdd", "SoundFolder", "SpeechCommands"]


class SpeechCommands(SoundDataModule):
    """One-second spoken words by thousands of speakers, at 16 kHz: v0.01 (30 words) or v0.02.

    The split is the official one, by the hash of the speaker: about 80, 10 and 10 %. See Warden
    2018 (arXiv:1804.03209).

    Args:
        path: another folder with a subfolder of clips per word, e.g. of version 0.01; None:
            `speech_commands/` in `data_dir`.
    """

    name = "speech_commands"
    source = (
        "data/speech_commands_v0.02.tar.gz (or v0.01) of http://download.tensorflow.org holds it"
    )

    def splits(self, clips: Sequence[Clip]) -> Mapping[str, Sequence[Clip]]:
        """By the hash of the speaker."""
        return _grouped(clips, [hash_split(clip.speaker) for clip in clips])


class Fsdd(SoundDataModule, options=options_of(SoundDataModule)):
    """The Free Spoken Digit Dataset: ten digits by 6 speakers, 50 times each, at 8 kHz.

    Recordings 0 … 4 of each speaker and digit are test (the official split), 5 … 9 validation, the
    rest train: 2,400 / 300 / 300 clips `<digit>/<speaker>_nohash_<n>.wav`.

    Args:
        path: another folder with a subfolder of clips per word; None: `fsdd/` in `data_dir`.
    """

    name = "fsdd"
    source = "it comes from https://github.com/Jakobovski/free-spoken-digit-dataset"

    conflicts = SoundDataModule.conflicts  # pyright: ignore[reportAssignmentType]

    def __init__(self, *, sample_rate: AtLeastOne = 8_000, **options: Any) -> None:
        super().__init__(sample_rate=sample_rate, **options)

    def splits(self, clips: Sequence[Clip]) -> Mapping[str, Sequence[Clip]]:
        """By the number of the recording.

        Raises:
            DataError: a file name has another form.
        """
        return _grouped(clips, [_fsdd_split(clip) for clip in clips])


class SoundFolder(SoundDataModule, options=options_of(SoundDataModule, without=["data_dir"])):
    """The user's own clips `<label>/<clip>.wav`, optionally below `train/`, `val/` and `test/`.

    Splits without a folder are cut from the training clips so that no speaker is in two of them:
    the speaker is the part of the name before `_nohash_`; a name without it counts as a speaker of
    its own.

    Args:
        path: the folder.
        fractions: approximate fractions of the clips for train, val and test; they sum to 1;
            unused for splits that are folders.
    """

    name = "sound"
    source = "data.path names a folder of clips"
    split_folders = True
    class_prior: ClassVar[str] = "empirical"

    conflicts = SoundDataModule.conflicts  # pyright: ignore[reportAssignmentType]

    def __init__(
        self, *, path: str | Path, fractions: Sequence[Share] = (0.8, 0.1, 0.1), **options: Any
    ) -> None:
        super().__init__(path=path, **options)
        self.fractions: list[float] = three_fractions(fractions)

    def options(self) -> dict[str, Any]:
        """Other options that affect the conversion."""
        return super().options() | {"fractions": self.fractions}

    def build(self, folder: Path) -> dict[str, Any]:
        """Write magnitudes, and note the files that are left out."""
        told = others_told(self.root, suffixes=SUFFIXES, what="sound")
        return super().build(folder) | {"left_out": told}

    def splits(self, clips: Sequence[Clip]) -> Mapping[str, Sequence[Clip]]:
        """By folder, or else by speaker."""
        given = {clip.split for clip in clips}
        cut = [split for split in ("test", "val") if split not in given]
        rest = [clip for clip in clips if clip.split in (None, "train")]
        of = speaker_splits(rest, fractions=self.fractions, cut=cut) if cut else {}
        moved = {clip: of.get(clip.speaker, "train") for clip in rest}
        return _grouped(clips, [moved.get(clip) or str(clip.split) for clip in clips])


def _grouped(clips: Sequence[Clip], splits: Sequence[str]) -> dict[str, list[Clip]]:
    pairs = list(zip(clips, splits, strict=True))
    return {split: [clip for clip, other in pairs if other == split] for split in SPLITS}


def _fsdd_split(clip: Clip) -> str:
    if clip.number is None:
        raise DataError(f"{clip.path}: expected a name <speaker>_nohash_<n>.wav")
    return "test" if clip.number < 5 else "val" if clip.number < 10 else "train"
