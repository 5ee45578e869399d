"""Warnings about a user's table."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

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
        >>> meta = {"dropped": 3, "lattices": {"age": [20.0, 1.0]}, "atoms": {}}
        >>> list(table_warnings(meta, dequantize=True, clip_quantiles=None))
        ['3 rows with missing values are left out']
    """
    if meta["dropped"]:
        yield f"{meta['dropped']} rows with missing values are left out"
    if meta["lattices"] and not dequantize:
        told = [f"{name!r} (step {step:g})" for name, (_, step) in meta["lattices"].items()]
        yield (
            f"the values of {', '.join(told)} lie on a lattice, where a density has no bound; "
            "data.dequantize=true adds noise of the step"
        )
    if meta["atoms"]:
        told = [f"{name!r} ({value:g}: {s:.1%})" for name, (value, s) in meta["atoms"].items()]
        yield (
            f"many rows have the same value in {', '.join(told)}, where a density has no bound; "
            "data.dequantize cannot treat it, data.columns=[...] without it leaves it out"
        )
    if clip_quantiles and (most := max(clip_quantiles[0], 1 - clip_quantiles[1])) > NOTABLE:
        yield (
            f"data.clip_quantiles={list(clip_quantiles)} gives {most:.1%} of the rows the same "
            f"value, where a density has no bound; expected at most {NOTABLE:.1%} at each end"
        )
