"""Originals are converted once to memory-mappable `.npy` files in a cache; this is how."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from flowbench.atomic_files import write_text
from flowbench.data.base import DataError

__all__ = ["Conversion", "convert", "fingerprint"]

META = "meta.json"


@dataclass(frozen=True)
class Conversion:
    """What a conversion left behind.

    Attributes:
        arrays: name → memory-mapped array.
        meta: what the conversion said about them (feature names, statistics, …).
        sha256: of the originals.
    """

    arrays: Mapping[str, NDArray[Any]]
    meta: Mapping[str, Any]
    sha256: str


def convert(
    name: str,
    build: Callable[[Path], dict[str, Any]],
    *,
    originals: Sequence[Path],
    places: Sequence[Path] | None = None,
    cache_dir: str | Path,
    version: int,
    options: Mapping[str, Any] | None = None,
    source: str,
    fetch: Callable[[], None] | None = None,
) -> Conversion:
    """Convert originals, or find the conversion that was made before.

    A conversion lies in `cache_dir/name/key`, where the key comes from the version, the options
    and the originals' places. It counts as long as the originals have the size and time of
    modification that were recorded, or else the recorded SHA-256, or are gone. It appears at once
    and whole, or not at all.

    Args:
        name: of the data set.
        build: writes `<array>.npy` files into the folder that it gets, and returns plain values.
        originals: the files to convert; they are only read.
        places: what the key is made of, where the originals may come in several forms (gzipped or
            not, say): without them nobody could tell which it was. None: the originals.
        cache_dir: where conversions are kept.
        version: of `build`; a new one leaves the old conversions aside.
        options: what else changes the result.
        source: where the originals come from, for the message when one is missing.
        fetch: called where an original is missing and was never converted; None: nobody can.

    Raises:
        DataError: an original is missing and was never converted, changes while it is converted,
            or a file cannot be read or written.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / "numbers.txt").write_text("1 2 3")
        >>> def build(out):
        ...     np.save(out / "x.npy", np.loadtxt(folder / "numbers.txt"))
        ...     return {"feature_names": ["x"]}
        >>> done = convert("numbers", build, originals=[folder / "numbers.txt"],
        ...                cache_dir=folder / "cache", version=1, source="it is made above")
        >>> done.arrays["x"].tolist(), done.meta["feature_names"]
        ([1.0, 2.0, 3.0], ['x'])
    """
    files, named = _absolute(originals), _absolute(places or originals)
    folder = _folder(name, named, cache_dir=cache_dir, version=version, options=options)
    try:
        if fetch is not None and _missing(files) and _load(folder) is None:
            fetch()
        return _find_or_make(name, build, folder=folder, originals=files, source=source)
    except OSError as error:
        what = "a file" if error.filename else f"{folder}"  # numpy names none on a full disk
        raise DataError(f"{name}: {what} cannot be read or written: {error}") from error


def fingerprint(
    name: str,
    *,
    originals: Sequence[Path],
    places: Sequence[Path] | None = None,
    cache_dir: str | Path,
    version: int,
    options: Mapping[str, Any] | None = None,
) -> str | None:
    """The `sha256` that `convert` would give, without converting anything.

    It is read from the record of the conversion as long as the originals have the size and time
    of modification recorded there, or are gone; otherwise they are hashed.

    Args:
        name: as in `convert`, like all other arguments.
        originals: the files.
        places: what the key is made of; None: the originals.
        cache_dir: where conversions are kept.
        version: of the conversion.
        options: of the conversion.

    Returns:
        The SHA-256, or None where there are neither originals nor a conversion.

    Raises:
        DataError: a file cannot be read.
    """
    files, named = _absolute(originals), _absolute(places or originals)
    folder = _folder(name, named, cache_dir=cache_dir, version=version, options=options)
    try:
        found, missing = _load(folder), _missing(files)
        if found is not None and (missing or _same_stamps(found, files)):
            return found.sha256
        return None if missing else _combined([_sha256(file) for file in files])
    except OSError as error:
        raise DataError(f"{name}: a file cannot be read: {error}") from error


def _absolute(files: Sequence[Path]) -> list[Path]:
    return [Path(file).expanduser().absolute() for file in files]


def _missing(places: list[Path]) -> list[Path]:
    return [place for place in places if not place.is_file()]


def _folder(
    name: str,
    places: list[Path],
    *,
    cache_dir: str | Path,
    version: int,
    options: Mapping[str, Any] | None,
) -> Path:
    text = json.dumps([version, dict(options or {}), [str(place) for place in places]])
    key = hashlib.sha256(text.encode()).hexdigest()[:16]
    return Path(cache_dir).expanduser().absolute() / name / key


def _find_or_make(
    name: str,
    build: Callable[[Path], dict[str, Any]],
    *,
    folder: Path,
    originals: list[Path],
    source: str,
) -> Conversion:
    found = _load(folder)
    missing = _missing(originals)
    if missing and found is None:
        raise DataError(f"{name}: the file {missing[0]} is expected but does not exist; {source}")
    if found is not None and (missing or _same_stamps(found, originals)):
        return found
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_suffix(".lock")):
        found = _load(folder)
        if found is None or not _same_content(found, originals, folder):
            _make(name, build, folder=folder, originals=originals)
        made = _load(folder)
    assert made is not None
    return made


def _make(
    name: str, build: Callable[[Path], dict[str, Any]], *, folder: Path, originals: list[Path]
) -> None:
    partial, old = folder.with_suffix(".partial"), folder.with_suffix(".old")
    try:
        for left_over in (partial, old):
            shutil.rmtree(left_over, ignore_errors=True)
        partial.mkdir()
        records = [_stamp(place) | {"sha256": _sha256(place)} for place in originals]
        meta = build(partial)
        for place, record in zip(originals, records, strict=True):
            if _stamp(place) != {key: record[key] for key in ("path", "size", "mtime_ns")}:
                raise DataError(f"{name}: {place} changed while it was converted; start again")
        sizes = {file.name: file.stat().st_size for file in sorted(partial.glob("*.npy"))}
        _write_json(partial / META, {"originals": records, "arrays": sizes, "meta": meta})
        if folder.exists():
            os.replace(folder, old)
        os.replace(partial, folder)
    finally:
        for left_over in (partial, old):
            shutil.rmtree(left_over, ignore_errors=True)


def _load(folder: Path) -> Conversion | None:
    """The conversion in a folder, or None where there is none or it is not whole."""
    try:
        record = json.loads((folder / META).read_text())
        if any((folder / file).stat().st_size != size for file, size in record["arrays"].items()):
            return None
        arrays = {
            Path(file).stem: np.load(folder / file, mmap_mode="r") for file in record["arrays"]
        }
    except (FileNotFoundError, ValueError):
        return None
    sha256 = _combined([original["sha256"] for original in record["originals"]])
    meta = record["meta"] | {"originals": record["originals"]}
    return Conversion(arrays=arrays, meta=meta, sha256=sha256)


def _same_stamps(found: Conversion, originals: list[Path]) -> bool:
    recorded = [{k: v for k, v in r.items() if k != "sha256"} for r in found.meta["originals"]]
    return recorded == [_stamp(place) for place in originals]


def _same_content(found: Conversion, originals: list[Path], folder: Path) -> bool:
    """Whether the hashes agree; if so, the new times are recorded, so as not to hash again."""
    if _same_stamps(found, originals):
        return True
    records = [_stamp(place) | {"sha256": _sha256(place)} for place in originals]
    if [r["sha256"] for r in records] != [r["sha256"] for r in found.meta["originals"]]:
        return False
    whole = json.loads((folder / META).read_text())
    _write_json(folder / META, whole | {"originals": records})
    return True


def _stamp(place: Path) -> dict[str, Any]:
    stat = place.stat()
    return {"path": str(place), "size": stat.st_size, "mtime_ns": stat.st_mtime_ns}


def _combined(hashes: list[str]) -> str:
    """One SHA-256 for all originals: that of the only one, or of those of all."""
    return hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest()


def _sha256(place: Path) -> str:
    with place.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write_json(place: Path, values: dict[str, Any]) -> None:
    write_text(place, json.dumps(values, indent=1))
