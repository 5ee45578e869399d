"""A run saves before a signal stops it; one that is killed loses only some minutes."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback

from flowbench import ranks
from flowbench.exits import SAVED
from flowbench.training.interrupted import Interrupted
from flowbench.training.turns import signal_for_all, turns

__all__ = ["SIGNALS", "Interruptions", "leaving_together", "stop"]

SIGNALS = [
    getattr(signal, name) for name in ("SIGTERM", "SIGUSR1", "SIGUSR2") if hasattr(signal, name)
]


class Interruptions(Callback):
    """Saves every few minutes, and at the next item after Ctrl-C, SIGTERM, SIGUSR1 or SIGUSR2.

    Trainings that take turns in threads, to which no signal comes, obey `signal_for_all`.

    An earlier handler (submitit's, which requeues the job) is called after saving. A second Ctrl-C
    stops the run at once.

    Args:
        last: path of the checkpoint.
        minutes: between checkpoints within an epoch.

    Raises:
        Interrupted: during training, once the run is saved.
    """

    def __init__(self, last: Path, *, minutes: float) -> None:
        self.last = last
        self.seconds: float = 60 * minutes
        self.signum = 0
        self.earlier: dict[int, Any] = {}

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Remember the current handlers; the Trainer sets its own later, and restores them."""
        if not turns():
            self.earlier = {signum: signal.getsignal(signum) for signum in SIGNALS}

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Install the signal handlers."""
        self.saved = time.monotonic()
        if turns():
            return
        for signum in SIGNALS:
            signal.signal(signum, self._note)
        if callable(signal.getsignal(signal.SIGINT)):  # a job in the background ignores it
            signal.signal(signal.SIGINT, self._note)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *args: Any, **kwargs: Any
    ) -> None:
        """Save if it is time to, and stop if there was a signal."""
        due = trainer.is_global_zero and time.monotonic() - self.saved >= self.seconds
        signum, due = self._agreed(pl_module, due=due)
        if signum or due:
            trainer.save_checkpoint(self.last, weights_only=False)
            self.saved: float = time.monotonic()
        if signum:
            stop(signum, self.earlier.get(signum))

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Handle a signal from the last validation; the run is saved already."""
        self._leave_ctrl_c()
        signum, _ = self._agreed(pl_module, due=False)
        if signum:
            stop(signum, self.earlier.get(signum))

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        """Leave Ctrl-C to Python again."""
        self._leave_ctrl_c()

    def _note(self, signum: int, frame: object) -> None:
        self.signum: int = signum
        self._leave_ctrl_c()

    def _leave_ctrl_c(self) -> None:
        if signal.getsignal(signal.SIGINT) == self._note:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def _agreed(self, pl_module: pl.LightningModule, *, due: bool) -> tuple[int, bool]:
        """The signal, and whether to save, agreed by all ranks."""
        wishes = [self.signum or signal_for_all(), int(due)]
        if ranks.size() > 1:
            wishes = ranks.highest(torch.tensor(wishes, device=pl_module.device)).tolist()
        return wishes[0], bool(wishes[1])


def stop(signum: int, earlier: Any) -> NoReturn:
    """End a run that is saved, by its interruption.

    Args:
        signum: of the signal that has come.
        earlier: its handler before the run, which is called if it is a function.

    Raises:
        Interrupted: always; with the exit code of the earlier handler, if that exits.
    """
    code: Any = SAVED  # tells this from a kill by the same signal
    if isinstance(earlier, Callable):
        try:
            earlier(signum, None)
        except SystemExit as leaving:
            code = leaving.code
    raise Interrupted(signum, code=code)


@contextmanager
def leaving_together() -> Iterator[None]:
    """After a signal, no rank exits before rank 0 has closed its loggers and files.

    Slurm sends SIGTERM to the remaining tasks as soon as one has exited.
    """
    try:
        yield
    except Interrupted:
        if ranks.size() > 1:
            ranks.barrier()
            ranks.leave()
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise
