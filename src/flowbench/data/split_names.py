"""The names by which files and folders call the three splits."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from flowbench.data.options import DataError

__all__ = ["SPLIT_NAMES", "split_folders", "split_of", "splits_named"]

SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
    "testing": "test",
}


def split_of(name: str) -> str | None:
    """The split that a name stands for, in upper or lower case; None: it is another name.

    Example:
        >>> [split_of(name) for name in ("Train", "dev", "cat")]
        ['train', 'val', None]
    """
    return SPLIT_NAMES.get(name.lower())


def splits_named(names: Iterable[str], *, where: object) -> dict[str, str]:
    """Split → which of the names stands for it; other names are ignored.

    Args:
        names: such as those of the arrays in a file.
        where: the file or folder, for messages.

    Raises:
        DataError: two names stand for the same split.

    Example:
        >>> splits_named(["train", "dev", "x"], where="a.npz")
        {'train': 'train', 'val': 'dev'}
    """
    found: dict[str, str] = {}
    for name in names:
        split = split_of(name)
        if split in found:
            raise DataError(
                f"{where} holds {found[split]} and {name}, which both name the split {split!r}; "
                "expected one of them"
            )
        if split is not None:
            found[split] = name
    return found


def split_folders(folder: Path, files: Sequence[Path]) -> dict[str, str]:
    """Name → split of the folders that hold the splits; empty if there are none.

    A folder named like a split is never a label: that would mix splits given separately.

    Args:
        folder: the root of all files.
        files: the files below it.

    Raises:
        DataError: only some folders are splits, or two are the same split.
    """
    names = sorted({file.relative_to(folder).parts[0] for file in files})
    named = splits_named(names, where=folder)
    others = [name for name in names if name not in named.values()]
    if named and others:
        raise DataError(
            f"{folder} holds {' and '.join(sorted(named.values()))}, which are splits by their "
            f"names, beside {others[0]}, expected only folders of splits or none"
        )
    return {name: split for split, name in named.items()}
