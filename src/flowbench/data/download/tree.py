"""Lists files below a folder, cached so that the folder may be deleted after conversion."""

import hashlib
import json
import os
from collections.abc import Collection
from pathlib import Path

__all__ = ["list_tree"]


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
