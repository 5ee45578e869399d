"""Downloads a file over HTTP: resumed where it broke off, verified, and only then named."""

import hashlib
import os
import ssl
import time
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from tqdm import tqdm

from flowbench.data.download.archives import require_space
from flowbench.data.download.sources import File
from flowbench.data.options import DataError
from flowbench.disk import shown_size

__all__ = ["fetch"]

ATTEMPTS = 5  # per URL
WAIT = 1.0  # seconds before the second attempt, doubled before each further one
TIMEOUT = 30.0  # seconds without a response or data
CHUNK = 2**20
TRANSIENT = (HTTPException, ConnectionError, TimeoutError, ssl.SSLError)
BUSY = (408, 425, 429)


class _GivenUpError(Exception):
    """One URL does not provide the file; another may."""


def fetch(file: File, folder: Path) -> Path:
    """A verified copy of a file in a folder, downloaded unless already there.

    Data are written to `<name>.part`, from which any process can resume an interrupted download.
    The file gets its name only once its checksum is verified.

    Args:
        file: file to download.
        folder: an existing folder; only one process may write `file` there at a time.

    Returns:
        The path of the file.

    Raises:
        DataError: no URL provides the file, something else is in its place, or the disk is full.
    """
    target = folder / file.name
    if target.exists():
        if fault := _fault(file, target):
            raise DataError(f"{target} is not the expected file: {fault}; delete it, start again")
        return target
    part = folder / f"{file.name}.part"
    faults = []
    for url in file.urls:
        try:
            _download(file, url, part)
        except _GivenUpError as error:
            faults.append(f"{url}: {error}")
        else:
            os.replace(part, target)
            return target
    raise DataError(
        f"{file.name} ({shown_size(file.size)}) cannot be downloaded now: {'; '.join(faults)}; "
        f"start again to go on, or put it at {target} by hand"
    )


def _download(file: File, url: str, part: Path) -> None:
    """Complete `part` and verify it, in a bounded number of attempts."""
    fault = ""
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(WAIT * 2 ** (attempt - 1))
        resumed = part.exists()
        try:
            _receive(file, url, part)
        except HTTPError as error:
            error.close()
            if error.code == 416:  # nothing beyond what we have: it is complete or too long
                fault = _fault(file, part)
                if fault is None:
                    return
                part.unlink()
            elif error.code < 500 and error.code not in BUSY:
                raise _GivenUpError(f"status {error.code} {error.reason}") from error
            fault = f"status {error.code} {error.reason}"
            continue
        except URLError as error:  # no connection: offline, most likely
            raise _GivenUpError(str(error.reason)) from error
        except TRANSIENT as error:
            fault = str(error) or type(error).__name__
            continue
        fault = _fault(file, part)
        if fault is None:
            return
        part.unlink()
        if not resumed:  # another attempt would fail alike
            break
    raise _GivenUpError(fault)


def _receive(file: File, url: str, part: Path) -> None:
    """Append what is missing to `part`; rewrite it if the server does not support ranges.

    Raises:
        URLError, HTTPException, OSError: as raised by `urllib`, and if the response ends early.
    """
    have = part.stat().st_size if part.exists() else 0
    headers = {"User-Agent": "flowbench", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    with urlopen(Request(url, headers=headers), timeout=TIMEOUT) as answer:
        if answer.status == 206:
            if not answer.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
                part.unlink(missing_ok=True)
                raise ConnectionError("the server answered with another range than asked for")
        else:
            have = 0
        total = None if answer.length is None else have + answer.length
        require_space(part.parent, (total or file.size) - have, what=f"the rest of {file.name}")
        with (
            part.open("ab" if have else "wb") as out,
            tqdm(
                desc=file.name,
                initial=have,
                total=total,
                unit="B",
                unit_scale=True,
                disable=None,  # shown on a terminal only
            ) as bar,
        ):
            while chunk := answer.read1(CHUNK):
                out.write(chunk)
                bar.update(len(chunk))
            end = out.tell()
    if total is not None and end < total:
        raise ConnectionError(f"the connection ended after {end} of {total} bytes")


def _fault(file: File, path: Path) -> str | None:
    """What is wrong with a file, by its checksum."""
    algorithm, digest = file.checksum.split(":")
    with path.open("rb") as content:
        found = hashlib.file_digest(content, algorithm).hexdigest()
    return None if found == digest else f"its {algorithm} is {found}, expected {digest}"
