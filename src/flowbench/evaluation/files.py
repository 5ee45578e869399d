"""Rows of a file scored by a trained density, piece by piece."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import torch
from torch import Tensor

from flowbench.checkpoint import TrainedDensity
from flowbench.data import DataError
from flowbench.data.table_files import open_table

__all__ = ["score_file", "scored_rows", "write_scores"]

COLUMN = "log_density"
CHUNK = 8192
NOT_MODELLED = ("context_columns", "categorical_columns", "split_column", "group_column")


def score_file(density: TrainedDensity, path: Path, *, out: Path, key: str | None = None) -> int:
    """Write the log-density of every row of a file, in data units, in nats.

    Args:
        density: as `flowbench.load` gives it.
        path: `.csv`, `.parquet`, `.npy`, `.npz` or `.h5`, in the units of the data.
        out: `.csv` or `.parquet`, one column `log_density`, in the order of the rows.
        key: the array in an `.npz` or `.h5` that holds several.

    Returns:
        The number of rows.

    Raises:
        DataError: a file has another format, or lacks columns that the density needs.
    """
    return write_scores(scored_rows(density, path, key=key), out)


def scored_rows(
    density: TrainedDensity, path: Path, *, key: str | None = None
) -> Iterator[Tensor]:
    """Log-densities of the rows of a file, float64, piece by piece; see `score_file`."""
    with open_table(path, key=key) as parts:
        if list(parts) != ["all"]:
            raise DataError(
                f"{path} holds several arrays: {', '.join(parts)}; expected one, or its name (key)"
            )
        columns, features = _columns(density, parts["all"].names, path)
        for piece in parts["all"].pieces(columns, []):
            rows = torch.from_numpy(np.asarray(piece.numbers, np.float64))
            for chunk in rows.split(CHUNK):
                context = chunk[:, features:] if len(columns) > features else None
                yield density.log_prob(chunk[:, :features], context).double()


def write_scores(pieces: Iterator[Tensor], out: Path) -> int:
    """Write log-densities as one column of a `.csv` or `.parquet`; gives their number."""
    writers = {".csv": pyarrow.csv.CSVWriter, ".parquet": pyarrow.parquet.ParquetWriter}
    if out.suffix not in writers:
        raise DataError(f"{out} has the extension {out.suffix!r}, expected .csv or .parquet")
    out.parent.mkdir(parents=True, exist_ok=True)
    count, schema = 0, pa.schema([(COLUMN, pa.float64())])
    with writers[out.suffix](out, schema) as writer:
        for terms in pieces:
            writer.write_table(pa.table({COLUMN: terms.numpy()}, schema=schema))
            count += len(terms)
    return count


def _columns(density: TrainedDensity, names: Sequence[str], path: Path) -> tuple[list[str], int]:
    """The columns of events, then of contexts, and how many are of events."""
    options: Mapping[str, Any] = density.config.get("data", {})
    if options.get("categorical_columns"):
        raise DataError(
            f"{path}: a density given labels (data.categorical_columns) cannot score a file"
        )
    contexts = [str(name) for name in options.get("context_columns") or []]
    other = {str(name) for key in NOT_MODELLED for name in _listed(options.get(key))}
    chosen = options.get("columns") or [name for name in names if name not in other]
    events = [str(name) for name in chosen]
    features, context_features = density.flow.features, density.context_features
    if not contexts and context_features and len(events) == features + context_features:
        events, contexts = events[:features], events[features:]
    missing = [name for name in [*events, *contexts] if name not in names]
    if missing:
        raise DataError(f"{path} has no column {missing[0]!r}; it has {', '.join(names)}")
    if (len(events), len(contexts)) != (features, context_features):
        raise DataError(
            f"{path} has {len(events)} columns to score and {len(contexts)} of context, expected "
            f"{features} and {context_features}"
        )
    return [*events, *contexts], features


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else [] if value is None else [value]
