"""Rows that a run would be scored on, and that its initial parameters were trained on."""

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flowbench.checkpoint import CheckpointError, checkpoint_path, read_checkpoint
from flowbench.config.errors import ConfigError
from flowbench.config.settings import Settings
from flowbench.config.signatures import without
from flowbench.config.words import show
from flowbench.data import DataError, DataModule, RawData
from flowbench.data.chunks import chunks
from flowbench.foreign import refuse_foreign
from flowbench.from_config import build_data

__all__ = ["leaked_rows", "refuse_leaking_rows"]

OWN = {"batch_size", "cache_dir", "data_dir"}  # options that do not change the rows


def refuse_leaking_rows(settings: Settings, data: DataModule) -> None:
    """Refuse `init_from` if that run was trained on rows that this one is scored on.

    The rows of the other run are read again, as its checkpoint describes them. A warning tells
    where this is impossible.

    Args:
        settings: of this run.
        data: its data, set up.

    Raises:
        ConfigError: validation or test rows were among the training rows of the other run.
        CheckpointError: its checkpoint is missing or unreadable.
    """
    if settings.init_from is None:
        return
    path = checkpoint_path(settings.init_from)
    theirs = read_checkpoint(path)[0]["config"].get("data")
    if theirs is not None and without(theirs, OWN) == without(settings.data, OWN):
        return
    unchecked = f"init_from={settings.init_from}: not checked whether it was trained on rows that"
    unchecked += " this run is scored on"
    if theirs is None:
        warnings.warn(f"{unchecked}, since it was fitted to rows in memory", stacklevel=2)
        return
    try:
        refuse_foreign(theirs, what="data module", path=path)
        ours = {key: settings.data[key] for key in OWN & {*theirs} & {*settings.data}}
        other = build_data({**theirs, **ours})
        other.prepare_data()
        rows = other.read()
    except (CheckpointError, DataError, OSError, TypeError, ValueError) as error:
        warnings.warn(f"{unchecked}: {error}", stacklevel=2)
        return
    if rows.feature_names != data.raw.feature_names:
        warnings.warn(f"{unchecked}, since its columns are others", stacklevel=2)
        return
    for split in ("test", "val"):
        count = leaked_rows(data.raw, rows, split)
        if count:
            raise ConfigError(
                f"init_from={settings.init_from}: was trained on {count:,} of the "
                f"{len(data.raw.x[split]):,} {split} rows of this run, whose score would be too "
                f"high; expected the same split: {_difference(theirs, settings.data)}"
            )


def leaked_rows(ours: RawData, theirs: RawData, split: str) -> int:
    """The rows of a split that only the other data have among their training rows.

    Rows that both have in training are repetitions, which do not count.

    Args:
        ours: data of the run to be scored.
        theirs: data that its initial parameters were trained on.
        split: of `ours`, "val" or "test".

    Example:
        >>> x = np.arange(12.0).reshape(6, 2)
        >>> ours = RawData(x={"train": x[:4], "val": x[4:5], "test": x[5:]})
        >>> theirs = RawData(x={"train": x[1:], "val": x[:1], "test": x[:1]})
        >>> leaked_rows(ours, theirs, "test"), leaked_rows(ours, ours, "test")
        (1, 0)
    """
    held_out, known, seen = (
        _hashes(rows) for rows in (ours.x[split], ours.x["train"], theirs.x["train"])
    )
    return int((np.isin(held_out, seen) & ~np.isin(held_out, known)).sum())


def _hashes(rows: NDArray[Any]) -> NDArray[np.uint64]:
    """One number per row, equal for equal rows."""
    factors = np.random.default_rng(0).integers(1, 2**63, size=rows.shape[1], dtype=np.uint64)
    found = np.empty(len(rows), np.uint64)
    for part in chunks(*rows.shape):
        bits = np.ascontiguousarray(rows[part], np.float64).view(np.uint64)
        mixed = (bits ^ (bits >> np.uint64(32))) * factors
        found[part] = (mixed ^ (mixed >> np.uint64(29))).sum(axis=1, dtype=np.uint64)
    return found


def _difference(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> str:
    """The options in which two data sections differ, as overrides."""
    names = sorted(({*theirs} | {*ours}) - OWN)
    differing = [name for name in names if theirs.get(name) != ours.get(name)]
    return " ".join(f"data.{name}={show(theirs.get(name))}" for name in differing)
