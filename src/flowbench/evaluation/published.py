"""Published test log-likelihoods (`published.csv`), to stand beside ours."""

import csv
from importlib.resources import files
from typing import Any

__all__ = ["PublishedError", "published"]


class PublishedError(Exception):
    """A published result that is asked for and not known."""


def published(source: str, model: str, data: str) -> dict[str, Any]:
    """The published result of a model on a data set, in nats in model space.

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
    with (files("flowbench.evaluation") / "published.csv").open(encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    for row in rows:
        if row["source"].startswith(source) and (row["model"], row["data"]) == (model, data):
            return {
                "source": row["source"],
                "model": model,
                "mean": float(row["log_likelihood"]),
                "two_standard_errors": float(row["two_standard_errors"]),
            }
    known = sorted({row["model"] for row in rows if row["data"] == data})
    raise PublishedError(
        f"published: {source!r} has no model {model!r} on data {data!r}; known there: {known}"
    )
