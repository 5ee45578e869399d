"""The rows that train and the rows that choose; where they are few, in several ways."""

import copy
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from flowbench.data import DataModule, Rows
from flowbench.transforms import JohnsonSU
from flowbench.transforms.weighted_rows import on_rows

__all__ = ["FEW_ROWS", "Fold", "folds_of", "known_rows", "on_normal_scale"]

FEW_ROWS = 5_000
FOLDS = 5
STOPPING = 6  # one of so many training rows stops the training of flows
CLOSED_ROWS = 20_000


@dataclass
class Fold:
    """Rows that train and rows that choose.

    Attributes:
        data: with the two as training and validation rows.
        nested: whether some of the training rows stop the training of flows, so that the rows
            that choose are new to flows as they are to closed forms; else they do both.
    """

    data: DataModule
    nested: bool = False

    @cached_property
    def scale(self) -> JohnsonSU:
        """The map of skewed and heavy-tailed columns to a normal scale, by the training rows."""
        return on_normal_scale(self.data)

    def training(self, *, johnson: bool, closed: bool) -> DataModule:
        """The data as an entry is trained on them.

        Args:
            johnson: on the normal scale.
            closed: for a closed form, which needs no validation rows, and few training rows.
        """
        data, rows = copy.copy(self.data), dict(self.data.rows)
        train = rows["train"]
        if closed and len(train) > CLOSED_ROWS:
            rows["train"] = _chosen(train, _shuffled(len(train), data.seed)[:CLOSED_ROWS])
        if self.nested and not closed:
            order = _beside_equals(train, data.seed)
            stops = max(1, len(train) // STOPPING)
            rows |= {"train": _chosen(train, order[stops:]), "val": _chosen(train, order[:stops])}
        if johnson:
            rows = {split: self._scaled(one) for split, one in rows.items()}
        data.rows = rows
        return data

    def _scaled(self, rows: Rows) -> Rows:
        x, log_det = self.scale.inverse(rows.x.double())
        return rows.changed(x=x.to(rows.x.dtype), log_det=rows.log_det + log_det)


def on_normal_scale(data: DataModule) -> JohnsonSU:
    """The map of skewed and heavy-tailed columns to a normal scale, by the training rows.

    Angles stay as they are.
    """
    rows = data.rows["train"]
    scale = JohnsonSU(data.features)
    on_rows(scale.initialize, rows.x, None, rows.weight)
    scale.curved[list(data.raw.circular)] = False
    return scale


def folds_of(data: DataModule) -> list[Fold]:
    """The data as they are, or five times with other validation rows where rows are few.

    A few hundred validation rows decide badly between densities. Below 5,000 rows, training and
    validation rows are therefore put together and split into five parts, each of which is once the
    validation rows; equal rows are in the same part. Test rows stay as they are. A split that is
    not by chance (that of a file, or of groups of rows) is kept.

    Args:
        data: set up.

    Example:
        >>> import numpy as np
        >>> from flowbench.data.arrays import Arrays, Pair
        >>> rows = np.random.default_rng(0).normal(size=(100, 2))
        >>> pairs = {"train": Pair.of(rows[:90], None), "val": Pair.of(rows[90:], None)}
        >>> data = Arrays(pairs, standardized=True, batch_size=32, seed=0)
        >>> data.setup()
        >>> [len(fold.data.rows["val"]) for fold in folds_of(data)]
        [20, 20, 20, 20, 20]
    """
    count = len(data.rows["train"]) + len(data.rows["val"])
    if not data.split_by_chance or not FOLDS < count < FEW_ROWS:
        return [Fold(data)]
    both = _joined(data.rows["train"], data.rows["val"])
    parts = _beside_equals(both, data.seed).tensor_split(FOLDS)
    return [_fold(data, both, parts, place) for place in range(FOLDS)]


def _fold(data: DataModule, both: Rows, parts: tuple[Tensor, ...], place: int) -> Fold:
    fold = copy.copy(data)
    train = torch.cat([*parts[:place], *parts[place + 1 :]])
    chosen = {"train": _chosen(both, train), "val": _chosen(both, parts[place])}
    fold.rows = {**data.rows, **chosen}
    return Fold(fold, nested=True)


def _shuffled(count: int, seed: int) -> Tensor:
    return torch.randperm(count, generator=torch.Generator().manual_seed(seed))


def _beside_equals(rows: Rows, seed: int) -> Tensor:
    """The places of rows in an order by chance, in which equal rows are neighbours.

    Parts of it have no rows in common, but for the equals of those at their ends.
    """
    order = _shuffled(len(rows), seed)
    of, places = _equal(rows)[order], torch.arange(len(rows))
    first = torch.full_like(places, len(rows)).scatter_reduce(0, of, places, "amin")
    return order[first[of].argsort(stable=True)]


def _equal(*rows: Rows) -> Tensor:
    """A number of each row, the same for equal ones."""
    parts = [torch.cat([one.x for one in rows]).flatten(1)]
    if rows[0].context is not None:
        parts.append(torch.cat([one.context for one in rows]).flatten(1))  # type: ignore[arg-type]
    return torch.cat([part.double() for part in parts], 1).unique(dim=0, return_inverse=True)[1]


def known_rows(data: DataModule) -> int:
    """How many test rows equal a row of training or validation."""
    test = data.rows["test"]
    numbers = _equal(test, data.rows["train"], data.rows["val"])
    return int(torch.isin(numbers[: len(test)], numbers[len(test) :]).sum())


def _joined(first: Rows, second: Rows) -> Rows:
    def both(name: str) -> Tensor | None:
        pair = [getattr(first, name), getattr(second, name)]
        return None if pair[0] is None else torch.cat(pair)

    log_dets = [rows.log_det.expand(len(rows)) for rows in (first, second)]
    return Rows(
        torch.cat([first.x, second.x]), both("context"), torch.cat(log_dets), both("weight")
    )


def _chosen(rows: Rows, index: Tensor) -> Rows:
    x, context, weight = rows.batch(index)
    return Rows(
        x, context, rows.log_det[index], None if weight is None else weight / weight.mean()
    )
