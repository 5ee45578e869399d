"""The scores by epoch that a run folder keeps in `metrics.csv`."""

import csv
import warnings
from pathlib import Path
from typing import Any

__all__ = ["VALIDATION", "metrics_of"]

NAME = "metrics.csv"
COUNTS = ("epoch", "step")
VALIDATION = "val/log_likelihood"
NEEDED = ("epoch", VALIDATION)


def metrics_of(checkpoint: Path) -> list[dict[str, Any]]:
    """The rows of `metrics.csv` of the run folder that a checkpoint lies in, if there is one.

    A file that cannot be read costs a warning, not the density.

    Args:
        checkpoint: its path, `<run>/checkpoints/<name>.ckpt`.
    """
    folder = checkpoint.absolute().parent
    path = folder.parent / NAME
    if folder.name != "checkpoints" or not path.is_file():
        return []
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return [_epoch(row) for row in csv.DictReader(file, strict=True)]
    except (OSError, ValueError, csv.Error) as error:
        warnings.warn(f"{path}: no learning curve is known: {error}", stacklevel=3)
        return []


def _epoch(row: dict[str, Any]) -> dict[str, Any]:
    """Numbers from the text of one row."""
    for name in NEEDED:
        if name not in row:
            raise ValueError(f"the column {name} is missing")
    found: dict[str, Any] = {}
    for name, cell in row.items():
        try:
            kind = int if name in COUNTS else float
            found[name] = kind(cell) if cell or name in NEEDED else None
        except (TypeError, ValueError):
            raise ValueError(
                f"row {row['epoch']!r}, column {name} holds {cell!r}, expected a number"
            ) from None
    return found
