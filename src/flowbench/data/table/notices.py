"""Warnings about a user's table."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from flowbench.data.table.discrete import discrete_table
from flowbench.data.table.lattice import NOTABLE
from flowbench.formatting import counted

__all__ = ["table_warnings"]

SHOWN = 5


def table_warnings(
    meta: Mapping[str, Any], *, treated: Collection[str], clip_quantiles: Sequence[float] | None
) -> Iterator[str]:
    """Warnings of dropped rows, of values that many rows share, and of those off a lattice.

    Args:
        meta: metadata of the conversion of the table.
        treated: columns of which the data take into account what is discrete about them.
        clip_quantiles: two quantiles to which values are clipped.

    Example:
        >>> meta = {"dropped": 3, "discrete": {}}
        >>> list(table_warnings(meta, treated=[], clip_quantiles=None))
        ['left out: 3 rows with missing values']
    """
    if meta["dropped"]:
        yield f"left out: {counted(meta['dropped'], 'rows')} with missing values"
    if meta.get("weightless"):
        yield f"left out: {counted(meta['weightless'], 'rows')} of weight 0"
    outside = meta.get("outside", {})
    if off := outside.get("off"):
        yield (
            "values between the points of the lattice of the training rows, "
            f"{_told(meta, off)}, get no noise, and score as the cell that they lie in"
        )
    if beyond := outside.get("beyond"):
        yield (
            f"values below or above all levels of the training rows, {_told(meta, beyond)}, score "
            "by a tail that falls geometrically, in models of levels"
        )
    left = {name: one for name, one in meta["discrete"].items() if name not in treated}
    if left:
        yield (
            f"a density has no bound at values that many rows share:\n{discrete_table(left)}\n"
            "data.discrete_columns=auto gives each its probability, for model=made_mixed or auto"
        )
    if clip_quantiles and (most := max(clip_quantiles[0], 1 - clip_quantiles[1])) > NOTABLE:
        yield (
            f"data.clip_quantiles={list(clip_quantiles)} gives {most:.1%} of the rows the same "
            f"value, where a density has no bound; expected at most {NOTABLE:.1%} at each end"
        )


def _told(meta: Mapping[str, Any], found: Mapping[str, Mapping[str, int]]) -> str:
    told = []
    for name, splits in list(found.items())[:SHOWN]:
        each = ", ".join(f"{split} {count:,}" for split, count in splits.items())
        step = meta["lattices"][name][1]
        told.append(
            f"{name!r} in {counted(sum(splits.values()), 'rows')} ({each}; steps of {step:.6g})"
        )
    more = len(found) - SHOWN
    return ", ".join(told) + (f", and of {counted(more, 'more columns')}" if more > 0 else "")
