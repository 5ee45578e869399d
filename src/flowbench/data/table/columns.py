"""The columns of a user's table and their roles."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from flowbench.data.options import DataError
from flowbench.data.table.overrides import override

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

    def among(self, names: list[str], *, defaults: list[str], path: Path) -> Columns:
        """These columns of a table.

        Args:
            names: names of all columns of the table.
            defaults: columns that are modelled if none are chosen.
            path: path of the table, for messages.

        Raises:
            DataError: a column is missing or named twice, or none is left to model.
        """
        others = filter(None, (self.split, self.group, self.weight))
        taken = [*self.contexts, *self.categorical, *others]
        asked = [*(self.targets or []), *taken]
        for where, listed in ((str(path), names), ("the columns asked for", asked)):
            twice = [name for name in dict.fromkeys(listed) if listed.count(name) > 1]
            if twice:
                raise DataError(f"{where}: the column {twice[0]!r} comes twice, expected it once")
        for name in asked:
            _refuse_absent(name, names, where=str(path))
        targets = self.targets
        if targets is None:
            targets = [name for name in defaults if name not in taken]
        if not targets:
            raise DataError(f"{path} has no column left to model, expected at least one")
        for name in self.logs:
            _refuse_absent(name, targets, where="data.log_columns: what is modelled")
        return Columns(
            targets=targets,
            contexts=self.contexts,
            categorical=self.categorical,
            split=self.split,
            group=self.group,
            weight=self.weight,
        )


def _refuse_absent(name: str, names: list[str], *, where: str) -> None:
    if name not in names:
        near = difflib.get_close_matches(name, names, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(names)}"
        raise DataError(f"{where} has no column {name!r}; {hint}")
