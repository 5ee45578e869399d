"""Clips in `<label>/<clip>.wav`: who speaks, and in which split."""

import hashlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from flowbench.data.base import SPLITS, DataError

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
    """A sound file, its label and its name without the suffix."""

    label: str
    name: str
    path: Path

    @property
    def speaker(self) -> str:
        """The speaker in `<speaker>_nohash_<n>`; the whole name if it has another form."""
        return re.sub("_nohash_.*$", "", self.name)

    @property
    def number(self) -> int | None:
        """The n of `<speaker>_nohash_<n>`."""
        found = re.search(r"_nohash_(\d+)$", self.name)
        return int(found[1]) if found else None


def find_clips(root: Path, files: Sequence[Path]) -> list[Clip]:
    """The clips among files below a root; folders such as `_background_noise_` are ignored.

    Raises:
        DataError: there are none, or one is not at the depth of `<label>/<clip>.wav`.
    """
    clips = []
    for file in files:
        label, *inner = file.relative_to(root).parts
        if inner and label.startswith("_"):
            continue
        if len(inner) != 1:
            raise DataError(f"{file}: expected <label>/<clip>.wav below {root}")
        clips.append(Clip(label, file.stem, file))
    if not clips:
        raise DataError(f"{root}: expected clips <label>/<clip>.wav, found none")
    return clips


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


def speaker_splits(clips: Sequence[Clip], *, fractions: Sequence[float]) -> dict[str, str]:
    """Speaker → split, so that no speaker is in two splits.

    Speakers are shuffled by `RandomState(42)`; test and val get the first ones, until they have
    their share of the clips.

    Raises:
        DataError: there are fewer than three speakers.
    """
    counts = Counter(clip.speaker for clip in clips)
    if len(counts) < 3:
        raise DataError(f"three splits need at least three speakers, got {sorted(counts)}")
    speakers = sorted(counts)
    order = [speakers[i] for i in np.random.RandomState(42).permutation(len(speakers))]
    shares = dict(zip(SPLITS, fractions, strict=True))
    splits = {}
    for split in ("test", "val"):
        wanted, got = shares[split] * len(clips), 0
        while got == 0 or (got + counts[order[0]] / 2 < wanted and len(order) > 2):
            got += counts[order[0]]
            splits[order.pop(0)] = split
    return splits | dict.fromkeys(order, "train")
