"""Several trainings in one process that take turns; each keeps what is global to the process."""

import logging
import os
import random
import sys
import threading
import time
import warnings
from collections.abc import Callable
from contextvars import ContextVar
from types import SimpleNamespace
from typing import Any, TextIO

import numpy as np
import torch

__all__ = ["Turns", "cpu_seconds", "signal_for_all", "turns"]


class Turns(threading.Thread):
    """A function in a thread of its own that runs only while its starter waits for it.

    Its random states, its filters of warnings, what it prints to and its job of Hydra are its own.

    Args:
        function: to call.
        told: where its output goes.
        of: how many take turns.

    Attributes:
        error: that ended it; None: it has returned, or still runs.
        cpu_seconds: of its turns, and its share of what has been computed for several together.
    """

    def __init__(self, function: Callable[[], object], told: TextIO, *, of: int) -> None:
        super().__init__(daemon=True)
        self.of = of
        self.function = function
        self.mine, self.theirs = threading.Semaphore(0), threading.Semaphore(0)
        self.globals: list[Any] = [*_globals()[:-1], (told, told)]
        self.question: Any = None
        self.answer: Callable[[], Any] = lambda: None
        self.error: BaseException | None = None
        self.cpu_seconds: float = 0.0
        self.ended = False

    def run(self) -> None:
        """Call the function, at the first turn."""
        _turns.set(self)
        self.mine.acquire()
        try:
            self.function()
        except BaseException as error:
            self.error = error
        self.ended: bool = True
        self.theirs.release()

    def go_on(self) -> None:
        """Let it run until it asks or ends."""
        before = _globals()
        _set_globals(self.globals)
        self.question = None
        self.cpu_seconds -= _of_process()
        try:
            self.mine.release()
            self.theirs.acquire()
        finally:
            self.cpu_seconds += _of_process()
            self.globals = _globals()
            _set_globals(before)

    def ask(self, question: object) -> Any:
        """Called by the function: end the turn with a question; returns the answer.

        Args:
            question: for the starter, which sets `answer`, a function that gives it or raises.
        """
        self.question = question
        self.theirs.release()
        self.mine.acquire()
        return self.answer()


_turns: ContextVar[Turns | None] = ContextVar("turns", default=None)
_signal: list[int] = []


def turns() -> Turns | None:
    """The thread that calls this, if it takes turns with others."""
    return _turns.get()


def cpu_seconds() -> float:
    """CPU seconds used by the training that calls this, or by the process if none take turns.

    All threads count, and processes that it has started, once they have ended.
    """
    own = turns()
    return _of_process() + (own.cpu_seconds if own else 0.0)


def signal_for_all(signum: int | None = None) -> int:
    """The signal after which all trainings that take turns save and stop; 0: none.

    Args:
        signum: of a signal that has come.
    """
    if signum is not None:
        _signal[:] = [signum] if signum else []
    return _signal[0] if _signal else 0


def _of_process() -> float:
    ended = os.times()
    return time.process_time() + ended.children_user + ended.children_system


def _globals() -> list[Any]:
    cuda = torch.cuda.is_available() and torch.cuda.is_initialized()
    return [
        torch.get_rng_state(),
        torch.cuda.get_rng_state() if cuda else None,
        np.random.get_state(),
        random.getstate(),
        warnings.filters,
        logging.getLogger("pytorch_lightning").level,
        _job().cfg,
        (sys.stdout, sys.stderr),
    ]


def _set_globals(values: list[Any]) -> None:
    cpu, cuda, numpy, python, filters, level, job, (sys.stdout, sys.stderr) = values
    torch.set_rng_state(cpu)
    if cuda is not None:
        torch.cuda.set_rng_state(cuda)
    np.random.set_state(numpy)
    random.setstate(python)
    warnings.filters = filters
    warnings._filters_mutated()  # type: ignore[attr-defined]
    logging.getLogger("pytorch_lightning").setLevel(level)
    _job().cfg = job


def _job() -> Any:
    """Where Hydra keeps the configuration of the job; a stand-in where nothing has imported it."""
    hydra = sys.modules.get("hydra.core.hydra_config")
    return SimpleNamespace(cfg=None) if hydra is None else hydra.HydraConfig.instance()
