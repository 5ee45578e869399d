"""How the Trainer writes and reads its checkpoints."""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lightning_fabric.plugins.io.checkpoint_io import CheckpointIO
from torch import Tensor

from flowbench.checkpoint import read_checkpoint
from flowbench.exits import WAY_OUT
from flowbench.stored import CheckpointError, Resumable, read_values, write_values

__all__ = ["CheckpointFiles", "best_state", "resuming"]

RESTORING = "checkpoint_connector.py"  # of the Trainer


class CheckpointFiles(CheckpointIO):
    """Writes checkpoints atomically, and reads them without executing code.

    Example:
        >>> import tempfile
        >>> import torch
        >>> path = Path(tempfile.mkdtemp()) / "checkpoints" / "last.ckpt"
        >>> CheckpointFiles().save_checkpoint({"flowbench": {}, "state_dict": {}}, path)
        >>> sorted(torch.load(path))
        ['digest', 'flowbench', 'state_dict']
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        """Write a checkpoint; its folder is created if necessary."""
        write_values(checkpoint, Path(path))

    def load_checkpoint(
        self, path: str | Path, map_location: Any = None, weights_only: Any = None
    ) -> dict[str, Any]:
        """Read the checkpoint that a training resumes from.

        Raises:
            CheckpointError: it is unreadable, or lacks what resuming needs.
        """
        with _telling_the_way_out():
            return read_values(Path(path), kind=Resumable)

    def remove_checkpoint(self, path: str | Path) -> None:
        """Delete a checkpoint."""
        Path(path).unlink()


def best_state(path: Path, *, epoch: int) -> dict[str, Tensor]:
    """The flow's state in the checkpoint of the best epoch, counted from 0.

    Raises:
        CheckpointError: it is missing or unreadable.
    """
    if not path.is_file():
        raise CheckpointError(
            f"{path}: is missing, though epoch {epoch + 1} was the best so far; {WAY_OUT}"
        )
    with _telling_the_way_out():
        return read_checkpoint(path)[1]


@contextmanager
def resuming(path: Path | None) -> Iterator[None]:
    """A training that resumes from a checkpoint, or begins if the path is None.

    Raises:
        CheckpointError: what the checkpoint holds does not fit this training.
    """
    try:
        yield
    except Exception as error:  # the states of optimisers and callbacks may fail in any way
        frames = traceback.extract_tb(error.__traceback__)
        if path is None or not any(RESTORING in frame.filename for frame in frames):
            raise
        if isinstance(error, CheckpointError) and str(path) in str(error):
            raise
        reason = " ".join(str(error).split()) or type(error).__name__
        raise CheckpointError(f"{path}: does not fit this run: {reason}; {WAY_OUT}") from error


@contextmanager
def _telling_the_way_out() -> Iterator[None]:
    try:
        yield
    except CheckpointError as error:
        raise CheckpointError(f"{error}; {WAY_OUT}") from error
