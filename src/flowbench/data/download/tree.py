"""Files below a folder, remembered so that the folder may go once they are converted."""

import hashlib
import json
import os
from collections.abc import Collection
from pathlib import Path

__all__ = ["list_tree"]


def list_tree(
    folder: Path, *, suffixes: Collection[str], name: str, cache_dir: str | Path
) -> list[Path]:
    """The files with these suffixes in a folder and its folders, in the order of their names.

    The list is kept in the cache; where there are none any more, it is the one of the last time.

    Args:
        folder: where to look; hidden files and folders are left out.
        suffixes: in lower case, with the dot.
        name: of the data set.
        cache_dir: where conversions are kept.

    Returns:
        Absolute paths; none where there are none and never were.

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
        if path.suffix.lower() in suffixes and not _hidden(path.relative_to(folder))
    )
    if not files:
        files = json.loads(record.read_text()) if record.is_file() else []
        return [folder / file for file in files]
    record.parent.mkdir(parents=True, exist_ok=True)
    partial = record.with_suffix(f".{os.getpid()}.partial")
    partial.write_text(json.dumps(files))
    os.replace(partial, record)
    return [folder / file for file in files]


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)
