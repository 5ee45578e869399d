"""Files below a folder, remembered so that the folder may go once they are converted."""

import hashlib
import json
import os
from collections.abc import Collection
from pathlib import Path

from flowbench.data.base import DataError

__all__ = ["list_tree"]


def list_tree(
    folder: Path, *, suffixes: Collection[str], name: str, cache_dir: str | Path, source: str
) -> list[Path]:
    """The files with these suffixes in a folder and its folders, in the order of their names.

    The list is kept in the cache; where the folder is gone, it is the one of the last time.

    Args:
        folder: where to look; hidden files and folders are left out.
        suffixes: in lower case, with the dot.
        name: of the data set.
        cache_dir: where conversions are kept.
        source: where the folder comes from, for the message when it is missing.

    Raises:
        DataError: there is no such folder and never was, or no such file in it.
    """
    folder = folder.expanduser().absolute()
    key = hashlib.sha256(str(folder).encode()).hexdigest()[:16]
    record = Path(cache_dir).expanduser().absolute() / name / f"{key}.files.json"
    if not folder.is_dir():
        if not record.is_file():
            raise DataError(
                f"{name}: the folder {folder} is expected but does not exist; {source}"
            )
        return [folder / file for file in json.loads(record.read_text())]
    files = sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.suffix.lower() in suffixes and not _hidden(path.relative_to(folder))
    )
    if not files:
        raise DataError(f"{name}: {folder} holds no file that ends in {', '.join(suffixes)}")
    record.parent.mkdir(parents=True, exist_ok=True)
    partial = record.with_suffix(f".{os.getpid()}.partial")
    partial.write_text(json.dumps(files))
    os.replace(partial, record)
    return [folder / file for file in files]


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)
