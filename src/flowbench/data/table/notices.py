"""Warnings about a user's table."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from flowbench.data.table.discrete import discrete_table
from flowbench.data.table.lattice import NOTABLE

__all__ = ["table_warnings"]


def table_warnings(
    meta: Mapping[str, Any], *, dequantize: bool, clip_quantiles: Sequence[float] | None
) -> Iterator[str]:
    """Warnings of dropped rows, and of values that many rows share.

    Args:
        meta: metadata of the conversion of the table.
        dequantize: whether noise was added to the lattices.
        clip_quantiles: two quantiles to which values are clipped.

    Example:
        >>> meta = {"dropped": 3, "discrete": {}}
        >>> list(table_warnings(meta, dequantize=True, clip_quantiles=None))
        ['3 rows with missing values are left out']
    """
    if meta["dropped"]:
        yield f"{meta['dropped']} rows with missing values are left out"
    if meta.get("weightless"):
        yield f"{meta['weightless']} rows of weight 0 are left out"
    if meta["discrete"] and not dequantize:
        table = discrete_table(meta["discrete"], dequantize=dequantize)
        yield f"a density has no bound at values that many rows share:\n{table}"
    if clip_quantiles and (most := max(clip_quantiles[0], 1 - clip_quantiles[1])) > NOTABLE:
        yield (
            f"data.clip_quantiles={list(clip_quantiles)} gives {most:.1%} of the rows the same "
            f"value, where a density has no bound; expected at most {NOTABLE:.1%} at each end"
        )
