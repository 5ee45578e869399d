"""A user's file becomes arrays: one per part, with targets, contexts and labels as numbers."""

import dataclasses
from pathlib import Path
from typing import Any

from flowbench.data.options import DataError
from flowbench.data.table.columns import Asked
from flowbench.data.table.faults import Faults
from flowbench.data.table.files import has_names, open_table
from flowbench.data.table.form import Form
from flowbench.data.table.text_stream import SHEETS, TEXTS, text_suffix
from flowbench.data.table.writer import TableWriter

__all__ = ["convert_table"]


def convert_table(
    path: Path, folder: Path, *, key: str | None, form: Form, asked: Asked
) -> dict[str, Any]:
    """Write the arrays of a table, and tell what they hold, as plain values.

    Args:
        path: the file.
        folder: of the arrays.
        key: the array or the sheet to read, where the file holds several.
        form: how the file is written.
        asked: the columns that are read.

    Returns:
        The fields of `Columns`, the labels of each categorical column, and the number of rows left
        out for missing values (`dropped`) and for a weight of 0 (`weightless`).

    Raises:
        DataError: the file cannot be read as the options say.
    """
    _refuse_idle_form(path, form)
    with open_table(path, key=key, form=form) as parts:
        _refuse_two_splits(path, asked, list(parts))
        chosen = [
            asked.among(
                source.names,
                defaults=source.defaults() if asked.targets is None else [],
                path=path,
            )
            for source in parts.values()
        ]
        if any(columns != chosen[0] for columns in chosen):
            raise DataError(f"{path}: train, val and test differ in their number of columns")
        faults = Faults(
            chosen[0],
            form,
            chosen=asked.targets is not None,
            listed=any(source.problems for source in parts.values()),
        )
        writer = TableWriter(folder, columns=chosen[0], path=path, faults=faults, logs=asked.logs)
        for part, source in parts.items():
            writer.write(part, source)
        writer.refuse_faults([one for source in parts.values() for one in source.problems])
    categories = writer.order_labels()
    writer.refuse_not_positive()
    return {
        "columns": dataclasses.asdict(chosen[0]),
        "categories": {name: categories[name] for name in asked.categorical},
        "dropped": writer.dropped,
        "weightless": writer.weightless,
    }


def _refuse_idle_form(path: Path, form: Form) -> None:
    suffix = text_suffix(path)
    if odd := form.without_effect(text=suffix in TEXTS, sheet=suffix in SHEETS):
        raise DataError(
            f"{', '.join(f'data.{name}' for name in odd)}: {path} is not text, where this "
            "has no meaning; leave it out"
        )


def _refuse_two_splits(path: Path, asked: Asked, parts: list[str]) -> None:
    ways = {"data.split_column": asked.split, "data.group_column": asked.group}
    given = [key for key, value in ways.items() if value is not None]
    if asked.split is not None and not has_names(path):
        raise DataError(f"data.split_column: {path} is no .csv or .parquet")
    if len(given) == 2:
        raise DataError(f"{given[0]} and {given[1]}: expected one of them, or none")
    if given and parts != ["all"]:
        raise DataError(f"{given[0]}: {path} holds the splits as arrays already")
