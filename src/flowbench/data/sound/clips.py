"""Clips in `<label>/<clip>.wav`: who speaks, and in which split."""

import hashlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from flowbench.data.options import DataError
from flowbench.data.raw import SPLITS
from flowbench.data.split_names import split_folders

__all__ = [
    "Clip",
    "find_clips",
    "hash_split",
    "leave_out",
    "refuse_unlearnt_labels",
    "speaker_splits",
]

HASHES = 2**27 - 1


class Clip(NamedTuple):
    """A sound file, its label, its name without the suffix, and its split if a folder gives it."""

    label: str
    name: str
    path: Path
    split: str | None = None

    @property
    def speaker(self) -> str:
        """The speaker in `<speaker>_nohash_<n>`; the whole name if it has another form."""
        return re.sub("_nohash_.*$", "", self.name)

    @property
    def number(self) -> int | None:
        """The n of `<speaker>_nohash_<n>`."""
        found = re.search(r"_nohash_(\d+)$", self.name)
        return int(found[1]) if found else None


def find_clips(root: Path, files: Sequence[Path], *, splits: bool = False) -> list[Clip]:
    """The clips among files below a root; folders such as `_background_noise_` are ignored.

    Args:
        root: the folder of all files.
        files: the files below it.
        splits: whether folders named like splits, such as `train/`, may hold the labels.

    Raises:
        DataError: there are none, one is not at the depth of `<label>/<clip>.wav`, or two have
            the same name.
    """
    kept = [file for file in files if not _aside(file.relative_to(root))]
    folder_of = split_folders(root, kept) if splits and kept else {}
    place = "train/<label>/<clip>.wav" if folder_of else "<label>/<clip>.wav"
    clips: dict[tuple[str, ...], Clip] = {}
    for file in kept:
        *folders, _ = file.relative_to(root).parts
        split = folder_of[folders.pop(0)] if folder_of else None
        if len(folders) != 1:
            raise DataError(f"{file}: expected {place} below {root}")
        clip = Clip(folders[0], file.stem, file, split)
        other = clips.setdefault((split or "", clip.label, clip.name), clip)
        if other is not clip:
            raise DataError(
                f"{other.path} and {file} are two clips of one name; remove or rename one of them"
            )
    if not clips:
        raise DataError(f"{root}: expected clips <label>/<clip>.wav, found none")
    return list(clips.values())


def _aside(place: Path) -> bool:
    return len(place.parts) > 1 and place.parts[0].startswith("_")


def hash_split(speaker: str) -> str:
    """The split of a speaker in Speech Commands: a tenth is val, a tenth test, permanently.

    With h = SHA-1(speaker) mod 2²⁷ and v = 100 h / (2²⁷ − 1) the speaker belongs to val where
    v < 10, to test where v < 20, and else to train; see Warden 2018 (arXiv:1804.03209), section 7.

    Example:
        >>> [hash_split(speaker) for speaker in ("0a7c2a8d", "27b9a84f", "0cb74144")]
        ['train', 'val', 'test']
    """
    digest = int(hashlib.sha1(speaker.encode()).hexdigest(), 16)
    percent = digest % (HASHES + 1) * (100 / HASHES)
    return "val" if percent < 10 else "test" if percent < 20 else "train"


def leave_out(
    splits: Mapping[str, Sequence[Clip]], clips: Sequence[Clip], speaker: str
) -> dict[str, list[Clip]]:
    """Splits in which the test split is exactly the clips of one speaker.

    Raises:
        DataError: there is no such speaker.
    """
    own = [clip for clip in clips if clip.speaker == speaker]
    if not own:
        speakers = sorted({clip.speaker for clip in clips})
        known = ", ".join(speakers[:10]) + (", ..." if len(speakers) > 10 else "")
        raise DataError(f"data.test_speaker={speaker}: no such speaker; known: {known}")
    kept = {s: [clip for clip in splits[s] if clip.speaker != speaker] for s in ("train", "val")}
    return kept | {"test": own}


def refuse_unlearnt_labels(
    labels: Sequence[str], clips: Mapping[str, Sequence[tuple[str, str]]], root: Path
) -> None:
    """Refuse context labels that no training clip has: nothing would be learnt about them.

    Args:
        labels: all labels.
        clips: split → its clips as (label, name).
        root: folder of the clips, for messages.

    Raises:
        DataError: naming the first such label.
    """
    counts = {split: Counter(label for label, _ in clips[split]) for split in SPLITS}
    for label in labels:
        if not counts["train"][label]:
            others = ", ".join(f"{counts[split][label]} of {split}" for split in SPLITS[1:])
            raise DataError(
                f"{root}: data.label_context=true: no training clip has the label {label!r}, "
                f"which {others} have; leave out its folder"
            )


def speaker_splits(
    clips: Sequence[Clip], *, fractions: Sequence[float], cut: Sequence[str] = ("test", "val")
) -> dict[str, str]:
    """Speaker → split, so that no speaker is in two splits.

    Speakers are shuffled by `RandomState(42)`; the splits to cut get the first ones, until they
    have their share of the clips; train gets the others.

    Args:
        clips: all clips that are not in a split yet.
        fractions: of the clips, for train, val and test.
        cut: the splits to cut.

    Raises:
        DataError: there are fewer speakers than splits.
    """
    counts = Counter(clip.speaker for clip in clips)
    if len(counts) <= len(cut):
        splits = ("one split needs", "two splits need", "three splits need")[len(cut)]
        least = ("one speaker", "two speakers", "three speakers")[len(cut)]
        raise DataError(f"{splits} at least {least}, got {sorted(counts)}")
    speakers = sorted(counts)
    order = [speakers[i] for i in np.random.RandomState(42).permutation(len(speakers))]
    shares: dict[str, float] = dict(zip(SPLITS, fractions, strict=True))
    total = 1 - sum(share for split, share in shares.items() if split not in ("train", *cut))
    splits = {}
    for split in cut:
        wanted, got = shares[split] / total * len(clips), 0
        while got == 0 or (got + counts[order[0]] / 2 < wanted and len(order) > len(cut)):
            got += counts[order[0]]
            splits[order.pop(0)] = split
    return splits | dict.fromkeys(order, "train")
