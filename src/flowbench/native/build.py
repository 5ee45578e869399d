"""Builds the native engine once per machine, into the user's cache."""

import ctypes
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

from filelock import FileLock, Timeout

from flowbench.atomic_files import replacing

__all__ = ["BuildError", "is_built", "library"]

HERE = Path(__file__).parent
SOURCES = [HERE / "steps.cpp", *sorted(HERE.glob("*.h"))]
NATIVE = "-mcpu=native" if platform.machine() in ("arm64", "aarch64") else "-march=native"
FLAGS = (
    "-O3 -std=c++17 -pthread -shared -fPIC -fvisibility=hidden "
    f"-fno-math-errno -fno-trapping-math -ffp-contract=fast {NATIVE}"
).split()
PATIENCE = 300  # seconds for another process that builds


class BuildError(Exception):
    """The native engine cannot be built here."""


@cache
def library() -> ctypes.CDLL:
    """The native engine, which is built if this machine has not built it before.

    It is found by its source, the compiler and its flags, and the instructions of the processor.

    Raises:
        BuildError: there is no C++ compiler, or it fails.
    """
    built, compiler = _place()
    folder = built.parent
    if not built.is_file():
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with FileLock(folder / "lock", timeout=PATIENCE):
                if not built.is_file():
                    _build(compiler, built)
        except (OSError, Timeout) as error:
            raise BuildError(
                f"the native engine cannot be written to {folder}: {error}"
            ) from error
    try:
        return ctypes.CDLL(str(built))
    except OSError as error:
        raise BuildError(f"{built} cannot be loaded: {error}") from error


@cache
def is_built() -> bool:
    """Whether this machine had the library when this process first asked."""
    try:
        return _place()[0].is_file()
    except BuildError:
        return False


def _place() -> tuple[Path, str]:
    """Where the library is, once built, and the compiler that builds it."""
    compiler = _compiler()
    return _folder() / _key(compiler) / "engine.so", compiler


def _compiler() -> str:
    wanted = [os.environ["CXX"]] if os.environ.get("CXX") else ["c++", "g++", "clang++"]
    for name in wanted:
        found = shutil.which(name)
        if found:
            return found
    raise BuildError(f"no C++ compiler ({', '.join(wanted)}) is on the PATH")


def _folder() -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "flowbench" / "engines"


def _key(compiler: str) -> str:
    parts = [path.read_bytes() for path in SOURCES]
    parts += [_output(compiler, "--version").encode(), " ".join(FLAGS).encode(), _processor()]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]


def _processor() -> bytes:
    """What tells processors apart that may not share the built file."""
    information = Path("/proc/cpuinfo")
    text = information.read_text(errors="replace") if information.is_file() else ""
    found = re.search(r"^(flags|Features)\s*:(.*)$", text, re.MULTILINE)
    instructions = " ".join(sorted(found[2].split())) if found else platform.processor()
    return f"{sys.platform} {platform.machine()} {instructions}".encode()


def _build(compiler: str, built: Path) -> None:
    with replacing(built) as part:
        _output(compiler, *FLAGS, "-o", str(part), str(SOURCES[0]))


def _output(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except OSError as error:
        raise BuildError(f"{command[0]} cannot be started: {error}") from error
    except subprocess.CalledProcessError as error:
        line = next((one for one in error.stderr.splitlines() if "error" in one), "")
        raise BuildError(f"{command[0]} cannot build the native engine: {line}") from error
    return done.stdout
