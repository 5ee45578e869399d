"""The columns of a user's table and their roles."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from flowbench.config.overrides import override
from flowbench.config.words import nearest
from flowbench.data.options import DataError

__all__ = ["Asked", "Columns"]


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


@dataclass(frozen=True, kw_only=True)
class Asked:
    """The columns that the options of a table name.

    Attributes:
        targets: columns to model; None: all that have no other role.
        contexts: numeric columns of the context.
        categorical: columns of labels in the context.
        split: column that gives the split of each row.
        group: column whose equal values must share a split.
        weight: column of how much each row counts.
        logs: targets whose logarithm is taken.
    """

    targets: list[str] | None
    contexts: list[str]
    categorical: list[str]
    split: str | None
    group: str | None
    weight: str | None
    logs: list[str]

    def roles(self) -> dict[str, list[str]]:
        """The columns by the option that names them, those to model first."""
        single = {"split": self.split, "group": self.group, "weight": self.weight}
        return {
            "data.columns": self.targets or [],
            "data.context_columns": self.contexts,
            "data.categorical_columns": self.categorical,
        } | {f"data.{role}_column": [name] if name else [] for role, name in single.items()}

    def among(self, names: list[str], *, defaults: list[str], path: Path) -> Columns:
        """These columns of a table.

        Args:
            names: names of all columns of the table.
            defaults: columns that are modelled if none are chosen.
            path: path of the table, for messages.

        Raises:
            DataError: a column is missing or named twice, or none is left to model.
        """
        roles = self.roles()
        if twice := _twice(names):
            raise DataError(f"{path}: the column {twice[0]!r} comes twice, expected it once")
        if problems := _problems(roles, names, where=str(path)):
            raise DataError("; ".join(problems))
        taken = [name for key in list(roles)[1:] for name in roles[key]]
        targets = self.targets
        if targets is None:
            targets = [name for name in defaults if name not in taken]
        if not targets:
            raise DataError(f"{path} has no column left to model, expected at least one")
        where = "data.log_columns: what is modelled"
        missing = [name for name in self.logs if name not in targets]
        if missing:
            raise DataError("; ".join(_absent(name, targets, where=where) for name in missing))
        return Columns(
            targets=targets,
            contexts=self.contexts,
            categorical=self.categorical,
            split=self.split,
            group=self.group,
            weight=self.weight,
        )


def _problems(roles: Mapping[str, list[str]], names: list[str], *, where: str) -> list[str]:
    """What is wrong with the columns that are asked for, in words."""
    asked = list(chain.from_iterable(roles.values()))
    twice = [
        f"the column {name!r} comes twice, in "
        + " and ".join(key for key, some in roles.items() for _ in range(some.count(name)))
        for name in _twice(asked)
    ]
    missing = [name for name in dict.fromkeys(asked) if name not in names]
    return twice + [_absent(name, names, where=where) for name in missing]


def _twice(names: list[str]) -> list[str]:
    return [name for name in dict.fromkeys(names) if names.count(name) > 1]


def _absent(name: str, names: list[str], *, where: str) -> str:
    near = nearest(name, names, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(names)}"
    return f"{where} has no column {name!r}; {hint}"
