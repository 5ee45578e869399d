"""Downloads missing originals once, even if several processes ask for them."""

import os
import shutil
from pathlib import Path

from filelock import FileLock

from flowbench.data.download.archives import unpack
from flowbench.data.download.sources import SOURCES, Source
from flowbench.data.download.transfer import fetch
from flowbench.data.options import DataError
from flowbench.disk import shown_size

__all__ = ["OFFLINE", "download"]

OFFLINE = "FLOWBENCH_OFFLINE"


def download(name: str, *, data_dir: str | Path) -> None:
    """Make sure that the originals of a data set are in `<data_dir>/<name>`.

    Existing files are left as they are. Archives are kept in `<data_dir>/downloads` (one may serve
    several data sets); they may be deleted, or placed there by hand. Processes that ask for the
    same data set wait for the first one.

    Args:
        name: a key of `SOURCES`.
        data_dir: folder of all originals.

    Raises:
        DataError: the data set is unknown, network access is forbidden (environment variable
            FLOWBENCH_OFFLINE) or fails, a checksum is wrong, or the folder cannot be written.
    """
    if name not in SOURCES:
        raise DataError(f"{name!r} cannot be downloaded; known: {', '.join(sorted(SOURCES))}")
    source, root = SOURCES[name], Path(data_dir).expanduser()
    if not source.absent(root):
        return
    _refuse_network(source, root)
    downloads = root / "downloads"
    try:
        downloads.mkdir(parents=True, exist_ok=True)
        with FileLock(downloads / f"{name}.lock"):
            if source.absent(root):
                _obtain(source, root, downloads)
    except OSError as error:
        raise DataError(
            f"{name}: the originals cannot be written to {root} ({error}); paths.data, or the "
            "environment variable FLOWBENCH_DATA, names another folder"
        ) from error
    if absent := source.absent(root):
        raise DataError(f"{name}: {absent[0]} is not in what {source.files[0].urls[0]} gives")


def _refuse_network(source: Source, root: Path) -> None:
    """If network access is forbidden, say which files the user must provide, and where.

    Raises:
        DataError: network access is forbidden, and an archive or a file is missing.
    """
    if os.environ.get(OFFLINE, "0") in ("", "0"):
        return
    folder = root / (source.name if source.members is None else "downloads")
    for file in source.files:
        place = folder / file.name
        if not place.exists():
            missing = place if source.members is None else source.absent(root)[0]
            way = "" if source.members is None else f", out of which {missing} comes"
            raise DataError(
                f"{source.name}: {missing} is missing and {OFFLINE} forbids to download it; "
                f"put {file.urls[0]} ({shown_size(file.size)}) at {place}{way}"
            )


def _obtain(source: Source, root: Path, downloads: Path) -> None:
    target = root / source.name
    files = [file for file in source.files if not (target / file.name).exists()]
    for file in files:
        with FileLock(downloads / f"{file.name}.lock"):
            try:
                fetch(file, downloads)
            except DataError as error:
                raise DataError(f"{source.absent(root)[0]} is missing: {error}") from error
    if source.members is None:
        target.mkdir(exist_ok=True)
        for file in files:
            os.replace(downloads / file.name, target / file.name)
    else:
        _unpack(source, root, downloads)


def _unpack(source: Source, root: Path, downloads: Path) -> None:
    """Unpack next to the target first, so that it never holds a partial file."""
    assert source.members is not None
    partial = root / f"{source.name}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    try:
        for file in source.files:
            unpack(downloads / file.name, partial, members=source.members)
        _move(partial, root / source.name)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _move(partial: Path, target: Path) -> None:
    """Move files to the target, atomically if it does not exist; never overwrite a file."""
    if not target.exists():
        os.replace(partial, target)
        return
    for file in sorted(path for path in partial.rglob("*") if path.is_file()):
        place = target / file.relative_to(partial)
        if not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            os.replace(file, place)
