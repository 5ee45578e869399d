"""A run on Weights & Biases, offline by default."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import WandbLogger
from pytorch_lightning.utilities import rank_zero_only

__all__ = ["WandbRun"]


class WandbRun(WandbLogger):
    """Lightning's logger, which also handles resumed runs.

    A resumed run logs its earlier rows again. Offline they complete the new segment, which
    replaces the earlier ones on upload; online, rows that the server already has are skipped.

    Args:
        project: on the W&B server.
        entity: user or team there; None: the default one of the account.
        offline: write files only, for a later `wandb sync`.
        checkpoint: also log the best checkpoint, as an artifact.
        save_dir: folder in which `wandb/` is created.
        id: of the run; the same id resumes it.
        name: of the run.
        group: name shared by runs that belong together.
    """

    def __init__(
        self,
        *,
        project: str = "flowbench",
        entity: str | None = None,
        offline: bool = True,
        checkpoint: bool = False,
        save_dir: str | Path = ".",
        id: str | None = None,
        name: str | None = None,
        group: str | None = None,
    ) -> None:
        super().__init__(
            name=name,
            save_dir=save_dir,
            offline=offline,
            id=id,
            project=project,
            entity=entity,
            group=group,
        )
        self._wandb_init.pop("anonymous", None)  # W&B warns about it even if it is None
        self.checkpoint = checkpoint

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Log metrics, unless the server already has those of this step."""
        if step is None or step > self._last_step():
            super().log_metrics(metrics, step)

    def _last_step(self) -> int:
        run = self.experiment
        return run.summary.get("trainer/global_step", -1) if run.resumed else -1
