"""The columns of a user's table and their roles."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from flowbench.config.words import nearest
from flowbench.data.options import DataError
from flowbench.data.table.overrides import override

__all__ = ["Columns", "choose_columns"]


@dataclass(frozen=True, kw_only=True)
class Columns:
    """The columns of a table by role, in their order in the arrays."""

    targets: list[str]
    contexts: list[str]
    categorical: list[str]
    split: str | None
    group: str | None
    weight: str | None = None

    @property
    def numbers(self) -> list[str]:
        """The numeric columns of events and contexts."""
        return [*self.targets, *self.contexts]

    @property
    def numeric(self) -> list[str]:
        """All columns that are read as numbers."""
        return [*self.numbers, *filter(None, (self.weight,))]

    @property
    def texts(self) -> list[str]:
        """The columns of labels, which are encoded as numbers."""
        return [*self.categorical, *filter(None, (self.split, self.group))]

    def only(self, kept: Mapping[str, bool]) -> str:
        """The options that leave out the columns of numbers that are not kept."""
        roles = {"data.columns": self.targets, "data.context_columns": self.contexts}
        return " ".join(
            override(key, [name for name in names if kept[name]])
            for key, names in roles.items()
            if not all(kept[name] for name in names)
            and (any(kept[name] for name in names) or names is not self.targets)
        )


def choose_columns(
    names: list[str],
    *,
    defaults: list[str],
    targets: list[str] | None,
    contexts: list[str],
    categorical: list[str],
    split: str | None,
    group: str | None,
    weight: str | None,
    logs: list[str],
    path: Path,
) -> Columns:
    """Find the requested columns.

    Args:
        names: names of all columns of the table.
        defaults: columns that are modelled if none are chosen.
        targets: columns to model; None: all defaults without another role.
        contexts: numeric columns of the context.
        categorical: columns of labels in the context.
        split: column that gives the split of each row.
        group: column whose equal values must share a split.
        weight: column of how much each row counts.
        logs: targets whose logarithm is taken.
        path: path of the table, for messages.

    Raises:
        DataError: a column is missing or named twice, or none is left to model.
    """
    roles = {
        "data.columns": targets or [],
        "data.context_columns": contexts,
        "data.categorical_columns": categorical,
        "data.split_column": [split] if split else [],
        "data.group_column": [group] if group else [],
        "data.weight_column": [weight] if weight else [],
    }
    taken = [name for key in list(roles)[1:] for name in roles[key]]
    asked = [*roles["data.columns"], *taken]
    if twice := _twice(names):
        raise DataError(f"{path}: the column {twice[0]!r} comes twice, expected it once")
    problems = [
        f"the column {name!r} comes twice, in "
        + " and ".join(key for key, chosen in roles.items() for _ in range(chosen.count(name)))
        for name in _twice(asked)
    ]
    problems += [
        _absent(name, names, where=str(path)) for name in dict.fromkeys(asked) if name not in names
    ]
    if problems:
        raise DataError("; ".join(problems))
    if targets is None:
        targets = [name for name in defaults if name not in taken]
    if not targets:
        raise DataError(f"{path} has no column left to model, expected at least one")
    where = "data.log_columns: what is modelled"
    if problems := [_absent(name, targets, where=where) for name in logs if name not in targets]:
        raise DataError("; ".join(problems))
    return Columns(
        targets=targets,
        contexts=contexts,
        categorical=categorical,
        split=split,
        group=group,
        weight=weight,
    )


def _twice(names: list[str]) -> list[str]:
    return [name for name in dict.fromkeys(names) if names.count(name) > 1]


def _absent(name: str, names: list[str], *, where: str) -> str:
    near = nearest(name, names, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(names)}"
    return f"{where} has no column {name!r}; {hint}"
