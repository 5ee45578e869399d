"""The CPU time of a run."""

from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

from flowbench import ranks
from flowbench.training.turns import cpu_seconds

__all__ = ["CpuTime"]


class CpuTime(Callback):
    """CPU seconds of all threads and processes of a run, since this object was made.

    Checkpoints contain them, so that a resumed run adds its own to those of its checkpoint. They
    are those of one rank; an earlier attempt is taken to have used as many on every other.

    Attributes:
        before: those of earlier attempts; None if unknown.
    """

    def __init__(self) -> None:
        self.before: float | None = 0.0
        self.start: float = cpu_seconds()
        self.restored = False

    @property
    def seconds(self) -> float | None:
        """CPU seconds so far, earlier attempts included; None if theirs are unknown.

        Example:
            >>> time = CpuTime()
            >>> 0 <= time.seconds < 10
            True
        """
        return None if self.before is None else self.before + cpu_seconds() - self.start

    def of_all_ranks(self) -> float | None:
        """The sum over all ranks, rounded to milliseconds; all of them must call this."""
        each = [seconds for seconds in ranks.gathered(self.seconds) if seconds is not None]
        return round(sum(each), 3) if len(each) == ranks.size() else None

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """A checkpoint of an earlier version does not tell."""
        if trainer.ckpt_path and not self.restored:
            self.before = None

    def state_dict(self) -> dict[str, Any]:
        """The CPU seconds so far."""
        return {"seconds": self.seconds}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a checkpoint."""
        self.before, self.restored = state_dict["seconds"], True
