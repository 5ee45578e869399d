"""A job of a sweep as a command of its own, so that it does not matter who starts it."""

import sys
from collections.abc import Sequence

from omegaconf import DictConfig

__all__ = ["job_arguments"]

OF_THE_SWEEP = ("hydra/launcher", "hydra.launcher", "hydra/sweeper", "hydra.sweeper", "hydra.mode")


def job_arguments(config: DictConfig, overrides: Sequence[str]) -> list[str]:
    """The arguments of `train.py` that make one run of a sweep.

    Args:
        config: of the sweep, with its `hydra` node.
        overrides: of the job.
    """
    flags = [word for word in sys.argv[1:] if word.startswith(("--config-dir=", "-cd="))]
    own = [word for word in config.hydra.overrides.hydra if not word.startswith(OF_THE_SWEEP)]
    return [*flags, *own, *overrides]
