"""Converts original files once to memory-mappable `.npy` files in a cache."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from flowbench.atomic_files import write_text
from flowbench.data.options import DataError
from flowbench.disk import FullDiskError, naming_full_disk

__all__ = ["Conversion", "Originals"]

META = "meta.json"


@dataclass(frozen=True)
class Conversion:
    """The result of a conversion.

    Attributes:
        arrays: name → memory-mapped array.
        meta: metadata of the conversion (feature names, statistics, …).
        sha256: hash of the originals.
    """

    arrays: Mapping[str, NDArray[Any]]
    meta: Mapping[str, Any]
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Originals:
    """Original files, and where their conversion is cached.

    A conversion is stored in `cache_dir/name/key`, where the key is derived from the version, the
    options and the paths of the originals. It is valid as long as the originals have the recorded
    size and modification time, or else the recorded SHA-256, or are gone. It is written
    atomically.

    Attributes:
        name: name of the data set.
        files: files to convert; they are only read.
        places: paths from which the key is derived if the originals may come in several forms
            (such as gzipped or not), so that it does not depend on the form. None: the files.
        cache_dir: folder of the conversions.
        version: version of the conversion; a new one ignores old conversions.
        options: other options that affect the result.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / "numbers.txt").write_text("1 2 3")
        >>> def build(out):
        ...     np.save(out / "x.npy", np.loadtxt(folder / "numbers.txt"))
        ...     return {"feature_names": ["x"]}
        >>> originals = Originals(name="numbers", files=[folder / "numbers.txt"],
        ...                       cache_dir=folder / "cache", version=1)
        >>> done = originals.convert(build, source="it is made above")
        >>> done.arrays["x"].tolist(), done.meta["feature_names"]
        ([1.0, 2.0, 3.0], ['x'])
        >>> done.sha256 == originals.fingerprint()
        True
    """

    name: str
    files: Sequence[Path]
    places: Sequence[Path] | None = None
    cache_dir: str | Path
    version: int
    options: Mapping[str, Any] = field(default_factory=dict)

    def convert(
        self,
        build: Callable[[Path], dict[str, Any]],
        *,
        source: str,
        fetch: Callable[[], None] | None = None,
    ) -> Conversion:
        """Convert the files, or load an existing conversion.

        Args:
            build: writes `<array>.npy` files into the given folder and returns plain values.
            source: where the originals come from, for the error message if one is missing.
            fetch: called if a file is missing and was never converted; None: it cannot be fetched.

        Raises:
            DataError: a file is missing and was never converted, changes while it is converted,
                or cannot be read or written.
        """
        folder = self._folder()
        try:
            with naming_full_disk(folder):
                if fetch is not None and self._missing() and _load(folder) is None:
                    fetch()
                return self._find_or_make(build, folder=folder, source=source)
        except FullDiskError as error:
            raise DataError(
                f"{self.name}: {error.filename}: {error.strerror}; paths.cache moves it elsewhere"
            ) from error
        except OSError as error:
            what = "a file" if error.filename else f"{folder}"
            raise DataError(f"{self.name}: {what} cannot be read or written: {error}") from error

    def fingerprint(self) -> str | None:
        """The `sha256` that `convert` would give, without converting anything.

        It is read from the record of the conversion if the originals have the size and
        modification time recorded there, or are gone; otherwise they are hashed.

        Returns:
            The SHA-256, or None if there are neither originals nor a conversion.

        Raises:
            DataError: a file cannot be read.
        """
        try:
            found, missing = _load(self._folder()), self._missing()
            if found is not None and (missing or self._same_stamps(found)):
                return found.sha256
            return None if missing else _combined([_sha256(file) for file in self._absolute])
        except OSError as error:
            raise DataError(f"{self.name}: a file cannot be read: {error}") from error

    @property
    def _absolute(self) -> list[Path]:
        return list(map(_absolute, self.files))

    def _missing(self) -> list[Path]:
        return [file for file in self._absolute if not file.is_file()]

    def _folder(self) -> Path:
        places = [str(_absolute(place)) for place in self.places or self.files]
        text = json.dumps([self.version, dict(self.options), places])
        key = hashlib.sha256(text.encode()).hexdigest()[:16]
        return _absolute(self.cache_dir) / self.name / key

    def _find_or_make(
        self, build: Callable[[Path], dict[str, Any]], *, folder: Path, source: str
    ) -> Conversion:
        found = _load(folder)
        missing = self._missing()
        if missing and found is None:
            found = "is a folder" if missing[0].is_dir() else "does not exist"
            raise DataError(
                f"{self.name}: the file {missing[0]} is expected but {found}; {source}"
            )
        if found is not None and (missing or self._same_stamps(found)):
            return found
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_suffix(".lock")):
            found = _load(folder)
            if found is None or not self._same_content(found, folder):
                self._make(build, folder=folder)
            made = _load(folder)
        assert made is not None
        return made

    def _make(self, build: Callable[[Path], dict[str, Any]], *, folder: Path) -> None:
        partial, old = folder.with_suffix(".partial"), folder.with_suffix(".old")
        try:
            for left_over in (partial, old):
                shutil.rmtree(left_over, ignore_errors=True)
            partial.mkdir()
            records = [_record(file) for file in self._absolute]
            meta = build(partial)
            for file, record in zip(self._absolute, records, strict=True):
                if _stamp(file) != _stamp_of(record):
                    raise DataError(
                        f"{self.name}: {file} changed while it was converted; start again"
                    )
            sizes = {file.name: file.stat().st_size for file in sorted(partial.glob("*.npy"))}
            _write_json(partial / META, {"originals": records, "arrays": sizes, "meta": meta})
            if folder.exists():
                os.replace(folder, old)
            os.replace(partial, folder)
        finally:
            for left_over in (partial, old):
                shutil.rmtree(left_over, ignore_errors=True)

    def _same_stamps(self, found: Conversion) -> bool:
        return list(map(_stamp_of, found.meta["originals"])) == list(map(_stamp, self._absolute))

    def _same_content(self, found: Conversion, folder: Path) -> bool:
        """Whether the hashes agree; if so, record the new times to avoid hashing again."""
        if self._same_stamps(found):
            return True
        records = [_record(file) for file in self._absolute]
        if [r["sha256"] for r in records] != [r["sha256"] for r in found.meta["originals"]]:
            return False
        whole = json.loads((folder / META).read_text())
        _write_json(folder / META, whole | {"originals": records})
        return True


def _absolute(path: str | Path) -> Path:
    return Path(path).expanduser().absolute()


def _load(folder: Path) -> Conversion | None:
    """The conversion in a folder, or None if it is absent or incomplete."""
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


def _record(place: Path) -> dict[str, Any]:
    return _stamp(place) | {"sha256": _sha256(place)}


def _stamp_of(record: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in record.items() if key != "sha256"}


def _stamp(place: Path) -> dict[str, Any]:
    stat = place.stat()
    return {"path": str(place), "size": stat.st_size, "mtime_ns": stat.st_mtime_ns}


def _combined(hashes: list[str]) -> str:
    """One SHA-256 for all originals: that of a single file, or the hash of all hashes."""
    return hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest()


def _sha256(place: Path) -> str:
    with place.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write_json(place: Path, values: dict[str, Any]) -> None:
    write_text(place, json.dumps(values, indent=1))
