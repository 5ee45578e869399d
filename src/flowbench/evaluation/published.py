"""Published log-likelihoods to compare with: `published.csv`, `published_curves.csv`."""

import csv
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from flowbench.evaluation.score import reported

__all__ = ["PublishedError", "comparable", "published", "published_curve", "table_name"]


class PublishedError(Exception):
    """The published result that a configuration names is not known."""


def published(source: str, model: str, data: str) -> dict[str, Any]:
    """The published result of a model on a data set, in nats in model space.

    Its `two_standard_errors` are None where none were published.

    Args:
        source: how its row in `published.csv` begins, e.g. "Papamakarios et al. 2017".
        model: as the source names it, e.g. "MAF (5)".
        data: the data set, e.g. "gas" or "mnist conditional".

    Raises:
        PublishedError: there is no such row.

    Example:
        >>> published("Papamakarios et al. 2017", "MAF (5)", "power")["mean"]
        0.14
    """
    rows = _rows("published.csv")
    for row in rows:
        if row["source"].startswith(source) and (row["model"], row["data"]) == (model, data):
            return {
                "source": row["source"],
                "model": model,
                "mean": float(row["log_likelihood"]),
                "two_standard_errors": _number(row["two_standard_errors"]),
            }
    known = sorted({row["model"] for row in rows if row["data"] == data})
    raise PublishedError(
        f"published: {source!r} has no model {model!r} on data {data!r}; known there: {known}; "
        "published=null does without"
    )


def published_curve(source: str, data: str) -> list[dict[str, float | None]]:
    """The published log-likelihoods by optimiser step, as `steps.csv` has ours; empty if none.

    Args:
        source: how its rows in `published_curves.csv` begin.
        data: the data set.

    Example:
        >>> published_curve("Experimenting with autoregressive flows", "gas_article")[0]["test"]
        -11.36431
    """
    return [
        {key: _number(value) for key, value in row.items() if key not in ("source", "data")}
        for row in _rows("published_curves.csv")
        if row["source"].startswith(source) and row["data"] == data
    ]


def _rows(name: str) -> list[dict[str, str]]:
    with (files("flowbench.evaluation") / name).open(encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def _number(text: str) -> float | None:
    return float(text) if text else None


def table_name(data: Mapping[str, Any]) -> str:
    """How the tables name a data set, given its configuration.

    Example:
        >>> table_name({"name": "mnist", "label_context": True})
        'mnist conditional'
    """
    return f"{data['name']} conditional" if data.get("label_context") else data["name"]


def comparable(block: Mapping[str, Any]) -> float:
    """The mean that tables report of the block of a split, nats in model space; see `reported`."""
    return reported(block).mean
