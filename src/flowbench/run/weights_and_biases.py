"""The options of a run on Weights & Biases, offline by default."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flowbench.run.wandb_run import WandbRun

__all__ = ["wandb_run"]


def wandb_run(
    *,
    project: str = "flowbench",
    entity: str | None = None,
    offline: bool = True,
    checkpoint: bool = False,
    tags: Sequence[str] = (),
    notes: str | None = None,
    save_dir: str | Path = ".",
    id: str | None = None,
    name: str | None = None,
    group: str | None = None,
) -> "WandbRun":
    """A logger of Weights & Biases, which also handles resumed runs, and outlives its failures.

    All files are in the folder of the run. The environment variable WANDB_MODE (online, offline,
    disabled) has precedence over `offline`.

    Args:
        project: on the W&B server.
        entity: user or team there; None: the default one of the account.
        offline: write files only, for a later `wandb sync`.
        checkpoint: also log the best checkpoint, as an artifact.
        tags: words to find the run by.
        notes: a text about the run.
        save_dir: folder in which `wandb/` is created.
        id: of the run; the same id resumes it.
        name: of the run.
        group: name shared by runs that belong together; None: a sweep's overrides.

    Returns:
        The logger; nothing is written before its first use.

    Example:
        >>> wandb_run(project="flows", checkpoint=True).checkpoint
        True
    """
    from flowbench.run.wandb_run import WandbRun  # with Lightning, which is slow to import

    mode = os.environ.get("WANDB_MODE") or ("offline" if offline else "online")
    return WandbRun(
        checkpoint=checkpoint,
        name=name,
        save_dir=save_dir,
        id=id,
        project=project,
        entity=entity,
        group=group,
        tags=list(tags),
        notes=notes,
        mode="offline" if mode == "dryrun" else mode,
    )
