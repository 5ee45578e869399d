"""A run on Weights & Biases, whose failures do not stop the training."""

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lightning_fabric.loggers.logger import rank_zero_experiment
from pytorch_lightning.loggers import WandbLogger
from pytorch_lightning.utilities import rank_zero_only

__all__ = ["WandbRun"]

FOLDERS = {"WANDB_DATA_DIR": "data", "WANDB_CACHE_DIR": "cache", "WANDB_CONFIG_DIR": "config"}
GIVEN = {name for name in FOLDERS if name in os.environ}
PATIENCE = 30.0  # seconds to wait for the server, unless WANDB_INIT_TIMEOUT is set


class WandbRun(WandbLogger):
    """Lightning's logger, which also handles resumed runs, and outlives failures of W&B.

    If the server cannot be reached, or refuses the run, it is recorded offline; if W&B fails
    later, the training goes on without it. Both are told in one sentence.

    A resumed run logs its earlier rows again. Offline they complete the new segment, which
    replaces the earlier ones on upload; online, rows that the server already has are skipped.

    Args:
        checkpoint: also log the best checkpoint, as an artifact.
        options: of Lightning's logger and of `wandb.init`; see `weights_and_biases.wandb_run`.
    """

    def __init__(self, *, checkpoint: bool, **options: Any) -> None:
        super().__init__(**options)
        self._wandb_init.pop("anonymous", None)  # W&B warns about it even if it is None
        self.checkpoint = checkpoint
        self.failed = False

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """The run of the package wandb, begun at the first use."""
        while self._experiment is None:
            try:
                self._begin()
            except Exception as error:  # of wandb, of its server, or of the disk
                self._retreat(error)
        return self._experiment

    def _begin(self) -> None:
        import wandb

        wandb_folder = Path(self._wandb_init["dir"], "wandb").absolute()
        for name, folder in FOLDERS.items():
            if name not in GIVEN and (name == "WANDB_DATA_DIR" or not _home_is_writable()):
                os.environ[name] = str(wandb_folder / folder)
        if "WANDB_INIT_TIMEOUT" not in os.environ:
            self._wandb_init["settings"] = wandb.Settings(init_timeout=PATIENCE)
        self._experiment = wandb.init(**self._wandb_init, reinit="create_new")
        self._experiment.define_metric("trainer/global_step")
        self._experiment.define_metric("*", step_metric="trainer/global_step", step_sync=True)

    def _retreat(self, error: Exception) -> None:
        """Go on offline, or without W&B if that has failed."""
        import wandb

        wandb.teardown()  # the failed run would keep its id
        if self._wandb_init["mode"] == "disabled":  # which has failed as well
            self._experiment, self.failed = _Nothing(), True
            return
        online = self._wandb_init["mode"] not in ("offline", "disabled")
        self._wandb_init["mode"] = "offline" if online else "disabled"
        if online:
            rest = "the run is recorded offline, and uploaded by the command printed at its end"
        else:
            rest = "the run goes on without it"
        _tell(error, rest)

    def attempt(self, action: Callable[[], object]) -> None:
        """Do something with W&B; its first failure is told, and ends the logging of this run."""
        if self.failed:
            return
        try:
            action()
        except Exception as error:  # of wandb, of its service, or of the disk
            self.failed: bool = True
            _tell(error, "the run goes on without it; metrics.csv has every epoch")

    @rank_zero_only
    def log_hyperparams(self, params: Any) -> None:
        """Log the configuration."""
        self.attempt(lambda: super(WandbRun, self).log_hyperparams(params))

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Log metrics, unless the server already has those of this step."""

        def log() -> None:
            if step is None or step > self._last_step():
                super(WandbRun, self).log_metrics(metrics, step)

        self.attempt(log)

    def _last_step(self) -> int:
        run = self.experiment
        return run.summary.get("trainer/global_step", -1) if run.resumed else -1


class _Nothing:
    """A run of which nothing is recorded, and whatever a logger asks of it."""

    resumed = False

    def __getattr__(self, name: str) -> "_Nothing":
        return self

    def __call__(self, *positional: Any, **named: Any) -> "_Nothing":
        return self


def _home_is_writable() -> bool:
    place = Path.home()
    while not place.exists() and place != place.parent:
        place = place.parent
    return place.is_dir() and os.access(place, os.W_OK)


def _tell(error: Exception, rest: str) -> None:
    reason = (str(error) or type(error).__name__).splitlines()[0].rstrip(".")
    print(f"W&B: {reason}; {rest}", file=sys.stderr, flush=True)
