"""Modelled columns of a table that other columns determine: refused, or left out."""

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

from flowbench.config.overrides import override
from flowbench.data.dependence import Dependent, dependent_columns
from flowbench.data.options import DataError
from flowbench.data.selection import Selection
from flowbench.data.table.columns import Columns

__all__ = ["independent_targets"]

SHOWN = 5
NAMED = 20


def independent_targets(
    train: Selection,
    columns: Columns,
    *,
    mapped: Callable[[Selection], Selection] | None,
    drop: bool,
    path: Path,
) -> list[str]:
    """The modelled columns that are not linear combinations of other columns or of contexts.

    Args:
        train: the training rows of the targets, then the contexts.
        columns: the columns by role.
        mapped: takes targets to the line; dependence is then looked for there too. None: they are
            on it.
        drop: leave the dependent columns out, with a warning, instead of refusing them.
        path: path of the table, for messages.

    Raises:
        DataError: columns are dependent, or none is left to model.
    """
    names, contexts = columns.targets, columns.contexts
    count, targets = len(names), len(contexts)
    if _is_binary(train.then(lambda part: part[:, :count])):
        return names  # these have probabilities, which are bounded
    order = [*range(count, count + targets), *range(count)]
    found = dependent_columns(
        train.then(lambda part: part[:, order]), [*contexts, *names], given=targets
    )
    found = [one._replace(column=one.column - targets) for one in found]
    if mapped is not None:
        known = {one.column for one in found}
        also = dependent_columns(mapped(train.then(lambda part: part[:, :count])), names)
        found += [one for one in also if one.column not in known]
    dependent = {names[one.column]: one.sentence for one in found if one.exact}
    _warn_of_almost_dependent([one for one in found if not one.exact], path)
    if not dependent:
        return names
    kept = [name for name in names if name not in dependent]
    told = _listed(list(dependent.values()))
    named = 0 < len(kept) <= NAMED
    chosen = override("data.columns", kept) if named else "data.columns=[...]"
    if not drop:
        raise DataError(
            f"training rows of {path}: {told} (to 10⁻⁵ of a standard deviation), where a density "
            f"has no bound; data.drop_dependent=true or {chosen} leaves out "
            f"{_listed(list(dependent))}"
        )
    if not kept:
        raise DataError(f"training rows of {path}: {told}, and no column is left to model")
    warnings.warn(f"{path}: left out are {_listed(list(dependent))}, since {told}", stacklevel=3)
    return kept


def _warn_of_almost_dependent(almost: Sequence[Dependent], path: Path) -> None:
    if almost:
        told = _listed([f"{one.sentence} up to {one.remainder:.2g}" for one in almost])
        warnings.warn(
            f"{path}: almost dependent, where the density has nearly no bound, are {told} of a "
            "standard deviation; data.columns=[...] without one of each leaves it out",
            stacklevel=4,
        )


def _is_binary(x: Selection) -> bool:
    return all(((part == 0) | (part == 1)).all() for part in x.chunks())


def _listed(words: Sequence[str]) -> str:
    more = f" and {len(words) - SHOWN} more" if len(words) > SHOWN else ""
    return ", ".join(words[:SHOWN]) + more
