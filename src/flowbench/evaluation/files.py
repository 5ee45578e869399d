"""Rows of a file scored by a trained density, piece by piece."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import torch
from torch import Tensor

from flowbench.atomic_files import replacing
from flowbench.checkpoint import TrainedDensity
from flowbench.data import DataError
from flowbench.data.table.columns import Columns
from flowbench.data.table.faults import Faults
from flowbench.data.table.files import open_table
from flowbench.data.table.form import Form
from flowbench.data.table.lattice import dequantize
from flowbench.data.table.parts import Part
from flowbench.evaluation.noise import RowNoise
from flowbench.formatting import counted
from flowbench.frames import label_places
from flowbench.transforms.lattice import LatticeCoordinates

__all__ = ["Scored", "score_file", "scored_rows", "together", "write_scores"]

COLUMN = "log_density"
CHUNK = 8192


class Scored(NamedTuple):
    """Rows of a file.

    Attributes:
        terms: log-densities, float64 `[rows]`.
        weight: how much each counts, float64 `[rows]`; None where the file does not say it.
    """

    terms: Tensor
    weight: Tensor | None


def score_file(
    density: TrainedDensity, path: Path, *, out: Path, key: str | None = None, draws: int = 1
) -> Scored:
    """Write the log-density of every row of a file, in data units, in nats.

    Where training added uniform noise to a column (`data.dequantize`), so does this, to the values
    on its lattice: the score of a row is that of a point of its cell, or the mean over several
    (see `noise`). The noise depends on the values of the row alone, so that a row has the same
    score wherever it stands. A density that is constant in the cells needs none.

    Args:
        density: as `flowbench.load` gives it.
        path: a file that `data=table` reads, in the units of the data and, if these are a
            table, written like it (`data.separator`, `data.missing` and the like).
        out: `.csv` or `.parquet`, one column `log_density`, in the order of the rows.
        key: the array in an `.npz` or `.h5` that holds several.
        draws: how many draws of the noise the log-densities are averaged over.

    Returns:
        The rows as written: NaN for values that are missing.

    Raises:
        DataError: a file has another format, or lacks columns that the density needs, or has a
            label that no training row had.
    """
    pieces: list[Scored] = []
    write_scores(_kept(scored_rows(density, path, key=key, draws=draws), pieces), out)
    return together(pieces)


def together(pieces: Sequence[Scored]) -> Scored:
    """All rows of the pieces."""
    weights = [piece.weight for piece in pieces if piece.weight is not None]
    terms = torch.cat([torch.empty(0, dtype=torch.float64), *(piece.terms for piece in pieces)])
    return Scored(terms, torch.cat(weights) if weights else None)


def _kept(pieces: Iterator[Scored], kept: list[Scored]) -> Iterator[Tensor]:
    for piece in pieces:
        kept.append(piece)
        yield piece.terms


def scored_rows(
    density: TrainedDensity, path: Path, *, key: str | None = None, draws: int = 1
) -> Iterator[Scored]:
    """Log-densities of the rows of a file, piece by piece; see `score_file`."""
    form = Form.of_scored(density.config.get("data", {}))
    with open_table(path, key=key, form=form) as parts:
        if list(parts) != ["all"]:
            raise DataError(
                f"{path} holds several arrays: {', '.join(parts)}; expected one, or its name (key)"
            )
        source = parts["all"]
        columns = _columns(density, source, path)
        places = {density.feature_names.index(name): at for name, at in density.lattices.items()}
        categories, row = list(density.categories), 1
        if draws > 1 and not places:
            raise DataError(f"draws={draws}: no noise is added to these rows, expected 1")
        known = density.config.get("data", {}).get("weight_column")
        roles = Columns(
            targets=columns,
            contexts=[],
            categorical=categories,
            split=None,
            group=None,
            weight=str(known) if known is not None and str(known) in source.names else None,
        )
        faults = Faults(roles, form)
        for piece in source.pieces(roles.numeric, categories):
            faults.see("", row, piece)
            faults.refuse_wrong(str(path), source.problems)
            numbers = np.asarray(piece.numbers, np.float64)
            for name, labels in zip(categories, piece.texts, strict=True):
                _refuse_unknown(density, name, labels, row=row, path=path)
            one_hot = map(density.one_hot, categories, piece.texts)
            values = torch.from_numpy(numbers[:, : len(columns)])
            rows = torch.cat([values, *one_hot], dim=-1)
            weight = torch.from_numpy(np.nan_to_num(numbers[:, -1])) if roles.weight else None
            for start in range(0, len(rows), CHUNK):
                part = slice(start, start + CHUNK)
                terms = _mean_log_prob(density, rows[part], places, draws)
                yield Scored(terms, None if weight is None else weight[part])
            row += len(numbers)
        faults.refuse_wrong(str(path), source.problems)


def _mean_log_prob(
    density: TrainedDensity, rows: Tensor, places: Mapping[int, Sequence[float]], draws: int
) -> Tensor:
    """The mean over draws of the noise."""
    if any(isinstance(part, LatticeCoordinates) for part in density.flow.modules()):
        return _log_prob(density, rows)
    terms = []
    for draw in range(draws):
        values = rows.clone()
        noise = RowNoise(rows.numpy(), draw=draw)
        dequantize(values.numpy(), places, generator=noise)
        terms.append(_log_prob(density, values))
    return torch.stack(terms).mean(0)


def _log_prob(density: TrainedDensity, rows: Tensor) -> Tensor:
    """NaN where a value is missing that is not integrated out."""
    features, config = density.flow.features, density.config.get("data")
    integrated = density.flow.marginalizes and (not config or Form.of(config).marginalizes)
    needed = rows[:, features:] if integrated else rows
    complete = ~needed.isnan().any(-1)
    known = rows[complete]
    terms = torch.full((len(rows),), torch.nan, dtype=torch.float64)
    if len(known):
        context = known[:, features:] if density.context_features else None
        terms[complete] = density.log_prob(known[:, :features], context).double()
    return terms


def _refuse_unknown(
    density: TrainedDensity, name: str, labels: Sequence[str | None], *, row: int, path: Path
) -> None:
    places = label_places(labels, density.categories[name])
    if None in places:
        index = places.index(None)
        raise DataError(
            f"{path}: row {row + index}, column {name!r} holds {labels[index]!r}, expected one of "
            f"{', '.join(density.categories[name])}"
        )


def write_scores(pieces: Iterator[Tensor], out: Path) -> None:
    """Write log-densities as one column of a `.csv` or `.parquet`; see `score_file`."""
    writers = {".csv": pyarrow.csv.CSVWriter, ".parquet": pyarrow.parquet.ParquetWriter}
    if out.suffix not in writers:
        raise DataError(f"{out} has the extension {out.suffix!r}, expected .csv or .parquet")
    out.parent.mkdir(parents=True, exist_ok=True)
    schema = pa.schema([(COLUMN, pa.float64())])
    with replacing(out) as part, writers[out.suffix](part, schema) as writer:
        for terms in pieces:
            writer.write_table(pa.table({COLUMN: terms.numpy()}, schema=schema))


def _columns(density: TrainedDensity, source: Part, path: Path) -> list[str]:
    """The columns of numbers: those of events, then those of contexts."""
    options: Mapping[str, Any] = density.config.get("data", {})
    names, contexts = source.names, density.context_columns
    events = density.feature_names
    if "context_columns" not in options and not set(events) <= set(names):
        events = source.defaults()  # of data that are not a table: by their place
    labels = sum(map(len, density.categories.values()))
    features, numbers = density.flow.features, density.context_features - labels
    if not contexts and numbers and len(events) == features + numbers:
        events, contexts = events[:features], events[features:]
    needed = [*contexts, *density.categories, *events]
    missing = [name for name in needed if name not in names]
    if missing:
        raise DataError(f"{path} has no column {missing[0]!r}; it has {', '.join(names)}")
    if (len(events), len(contexts)) != (features, numbers):
        raise DataError(
            f"{path} has {counted(len(events), 'columns')} to score and {len(contexts)} of "
            f"context, expected {features} and {numbers}"
        )
    return [*events, *contexts]
