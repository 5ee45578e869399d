"""Unpacks members of a tar or zip archive, once all of it has been found intact and safe."""

import contextlib
import gzip
import re
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from flowbench.data.options import DataError
from flowbench.disk import free_bytes, shown_size

__all__ = ["require_space", "unpack"]

DAMAGE = (tarfile.TarError, zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, EOFError)


@dataclass(frozen=True)
class _Member:
    path: str
    size: int
    regular: bool
    open: Callable[[], IO[bytes] | None]


def unpack(archive: Path, folder: Path, *, members: Mapping[str, str]) -> None:
    """Write the chosen members of an archive below a folder.

    All paths, and the free space, are checked before anything is written. Links and devices are
    never written.

    Args:
        archive: a `.zip`, or a tar file in any compression.
        folder: where the members go; created if necessary.
        members: regular expression for a member's whole path → its path below the folder (as in
            `re.Match.expand`).

    Raises:
        DataError: the archive cannot be read to its end, has no requested member, contains
            something unsafe, or there is too little space.
    """
    try:
        with _opened(archive) as found:
            size = sum(member.size for member, _ in _chosen(found, members, archive))
        require_space(folder, size, what=f"the contents of {archive.name}")
        with _opened(archive) as found:
            for member, place in _chosen(found, members, archive):
                _write(member, folder / place, archive)
    except DAMAGE as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise DataError(f"{archive} is damaged ({reason}); delete it, start again") from error


def require_space(folder: Path, size: int, *, what: str) -> None:
    """Refuse to start if there is too little disk space.

    Raises:
        DataError: naming the available and the required space.
    """
    free = free_bytes(folder)
    if free < size:
        raise DataError(
            f"{folder} has {shown_size(free)} of free space, but {what} needs {shown_size(size)}"
        )


@contextlib.contextmanager
def _opened(archive: Path) -> Iterator[Iterator[_Member]]:
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive) as packed:
            yield _zip_members(packed)
    else:
        with tarfile.open(archive) as packed:
            yield _tar_members(packed)


def _zip_members(packed: zipfile.ZipFile) -> Iterator[_Member]:
    for info in packed.infolist():
        kind = stat.S_IFMT(info.external_attr >> 16)
        regular = not info.is_dir() and kind in (0, stat.S_IFREG)
        yield _Member(info.filename, info.file_size, regular, lambda info=info: packed.open(info))


def _tar_members(packed: tarfile.TarFile) -> Iterator[_Member]:
    for info in packed:
        yield _Member(
            info.name, info.size, info.isreg(), lambda info=info: packed.extractfile(info)
        )


def _chosen(
    found: Iterator[_Member], members: Mapping[str, str], archive: Path
) -> Iterator[tuple[_Member, str]]:
    """The requested members, each with its path; all of the archive must be safe."""
    nothing = True
    for member in found:
        _refuse_unsafe(member.path, archive)
        for pattern, template in members.items():
            if match := re.fullmatch(pattern, member.path):
                if not member.regular:
                    raise DataError(f"{archive}: {member.path} is not a regular file; refused")
                place = match.expand(template)
                _refuse_unsafe(place, archive)
                nothing = False
                yield member, place
    if nothing:
        raise DataError(f"{archive} holds nothing that is looked for in it ({', '.join(members)})")


def _refuse_unsafe(path: str, archive: Path) -> None:
    posix = PurePosixPath(path.replace("\\", "/"))
    if posix.is_absolute() or ".." in posix.parts or re.match(r"[A-Za-z]:", path):
        raise DataError(f"{archive}: the path {path!r} leads out of the archive; refused")


def _write(member: _Member, target: Path, archive: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    source = member.open()
    assert source is not None  # only regular files get here
    with source, target.open("xb") as out:
        shutil.copyfileobj(source, out, 2**20)
    if target.stat().st_size != member.size:
        raise DataError(f"{archive} is damaged ({member.path} is short); delete it, start again")
