"""A command in a process of its own, forked from this one, so that nothing is imported again."""

import os
import resource
import shlex
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Attempt", "Outcome", "attempt"]

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


class Attempt:
    """The main function of a command, called in a folder by a process that has just begun.

    Args:
        main: the function; it reads `sys.argv`.
        words: `sys.argv`.
        folder: where it runs.
        log: the file in it for what is printed.
        seconds: after which it is killed.
        memory: bytes that it may take.
        environment: variables to set.
    """

    def __init__(
        self,
        main: Callable[[], object],
        words: list[str],
        folder: Path,
        *,
        log: str = "told",
        seconds: float = LONGEST,
        memory: int = MEMORY,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.words, self.log, self.seconds = words, folder / log, seconds
        self.started, self.signals = time.monotonic(), set[int]()
        self.pid = os.fork()
        if not self.pid:
            os.environ.update(environment or {})
            os._exit(_run(main, words, folder, self.log, memory))

    def send(self, signum: int) -> None:
        """Send a signal, which it may then be killed by."""
        self.signals.add(signum)
        os.kill(self.pid, signum)

    def end(self) -> Outcome:
        """Wait for its end."""
        while not (ended := os.waitpid(self.pid, os.WNOHANG))[0]:
            if time.monotonic() - self.started > self.seconds:
                os.kill(self.pid, signal.SIGKILL)
            time.sleep(0.005)
        code = os.waitstatus_to_exitcode(ended[1])
        told = self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""
        return Outcome(
            command=shlex.join(self.words),
            code=code,
            seconds=time.monotonic() - self.started,
            told=told,
            bad=self._bad(code, told),
        )

    def _bad(self, code: int, told: str) -> str:
        if code not in CODES and -code not in self.signals:
            return f"exit code {code}"
        if "Traceback (most recent call last)" in told:
            return "a traceback"
        return "" if told.strip() or code < 0 else "nothing was told"


def attempt(
    main: Callable[[], object],
    words: list[str],
    folder: Path,
    *,
    seconds: float = LONGEST,
    memory: int = MEMORY,
) -> Outcome:
    """Call the main function of a command in a folder, until it ends; see `Attempt`."""
    return Attempt(main, words, folder, seconds=seconds, memory=memory).end()


def _run(
    main: Callable[[], object], words: list[str], folder: Path, log: Path, memory: int
) -> int:
    """The child: what its interpreter would exit with."""
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # background jobs ignore it
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
