"""A command in a process of its own, forked from this one, so that nothing is imported again."""

import os
import resource
import shlex
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Outcome", "attempt"]

CODES = {0: "done", 1: "failed", 2: "mistake", 75: "saved", 130: "interrupted"}
LONGEST = 100  # seconds
MEMORY = 8 << 30  # bytes


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a command has ended.

    Attributes:
        command: its words.
        code: the exit code; negative: the signal that killed it.
        seconds: how long it took.
        told: what it printed.
        bad: what is wrong with that; empty if nothing is.
    """

    command: str
    code: int
    seconds: float
    told: str
    bad: str


def attempt(
    main: Callable[[], object],
    words: list[str],
    folder: Path,
    *,
    seconds: float = LONGEST,
    memory: int = MEMORY,
) -> Outcome:
    """Call the main function of a command in a folder.

    Args:
        main: the function; it reads `sys.argv`.
        words: `sys.argv`.
        folder: where it runs.
        seconds: after which it is killed.
        memory: bytes that it may take.
    """
    log = folder / "told"
    started = time.monotonic()
    child = os.fork()
    if not child:
        os._exit(_run(main, words, folder, log, memory))
    while not (ended := os.waitpid(child, os.WNOHANG))[0]:
        if time.monotonic() - started > seconds:
            os.kill(child, signal.SIGKILL)
        time.sleep(0.005)
    code = os.waitstatus_to_exitcode(ended[1])
    told = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
    return Outcome(
        command=shlex.join(words),
        code=code,
        seconds=time.monotonic() - started,
        told=told,
        bad=_bad(code, told),
    )


def _run(
    main: Callable[[], object], words: list[str], folder: Path, log: Path, memory: int
) -> int:
    """The child: what its interpreter would exit with."""
    os.setsid()
    resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    file = os.open(log, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    for descriptor in (1, 2):
        os.dup2(file, descriptor)
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = os.fdopen(2, "w", encoding="utf-8", closefd=False)
    os.chdir(folder)
    sys.argv = list(words)
    try:
        main()
        code = 0
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return code


def _bad(code: int, told: str) -> str:
    if code not in CODES:
        return f"exit code {code}"
    if "Traceback (most recent call last)" in told:
        return "a traceback"
    return "" if told.strip() else "nothing was told"
