"""Lists files below a folder, cached so that the folder may be deleted after conversion."""

import hashlib
import json
import warnings
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from flowbench.atomic_files import write_text

__all__ = ["list_tree", "others_told", "warn_of_others"]


def list_tree(
    folder: Path, *, suffixes: Collection[str], name: str, cache_dir: str | Path
) -> list[Path]:
    """The files with these suffixes in a folder and its subfolders, sorted by name.

    The list is cached; if there are no longer any files, the cached list is returned.

    Args:
        folder: folder to search; hidden files and folders are ignored.
        suffixes: in lower case, with the dot.
        name: name of the data set.
        cache_dir: folder of the conversions.

    Returns:
        Absolute paths; empty if there are no files and never were.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> (folder / "a.png").touch()
        >>> options = {"suffixes": (".png",), "name": "example", "cache_dir": folder / "cache"}
        >>> [file.name for file in list_tree(folder, **options)]
        ['a.png']
        >>> (folder / "a.png").unlink()
        >>> [file.name for file in list_tree(folder, **options)]
        ['a.png']
    """
    folder = folder.expanduser().absolute()
    key = hashlib.sha256(str(folder).encode()).hexdigest()[:16]
    record = Path(cache_dir).expanduser().absolute() / name / f"{key}.files.json"
    files = sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.suffix.lower() in suffixes
        and not _hidden(path.relative_to(folder))
        and not path.is_dir()
    )
    if not files:
        files = json.loads(record.read_text()) if record.is_file() else []
        return [folder / file for file in files]
    record.parent.mkdir(parents=True, exist_ok=True)
    write_text(record, json.dumps(files))
    return [folder / file for file in files]


def others_told(folder: Path, *, suffixes: Collection[str], what: str) -> str | None:
    """A sentence on the files that `list_tree` leaves out for their suffix; None: there are none.

    Args:
        folder: the folder searched; hidden files and folders are ignored.
        suffixes: those of the files that are read.
        what: what these files are, in the plural.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> (folder / "a.xcf").touch()
        >>> others_told(folder, suffixes=(".png",), what="pictures").removeprefix(str(folder))
        ': 1 file is left out, whose suffix is not one of pictures: a.xcf'
    """
    others = sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.suffix.lower() not in suffixes
        and not _hidden(path.relative_to(folder))
        and path.is_file()
    )
    if not others:
        return None
    count = "1 file is" if len(others) == 1 else f"{len(others):,} files are"
    more = f" and {len(others) - 3:,} more" if len(others) > 3 else ""
    return (
        f"{folder}: {count} left out, whose suffix is not one of {what}: "
        f"{', '.join(others[:3])}{more}"
    )


def warn_of_others(meta: Mapping[str, Any]) -> None:
    """Warn of the files that a conversion has left out, as noted in its record."""
    if told := meta.get("left_out"):
        warnings.warn(told, stacklevel=3)


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)
