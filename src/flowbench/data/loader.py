"""Batches by one `index_select` from whole tensors, so that feeding a small flow is cheap."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from flowbench import ranks

__all__ = ["Batch", "BatchLoader", "Rows", "SequentialLoader"]

ALL = slice(None)


class Batch(NamedTuple):
    """Rows that travel together: data in model space, their contexts and their weights.

    `x` is `[rows, features]`, `context` `[rows, context_features]` or None, and `weight` `[rows]`,
    of mean 1 over the split, or None where all rows count the same.
    """

    x: Tensor
    context: Tensor | None
    weight: Tensor | None = None

    def to(self, device: torch.device) -> "Batch":
        """The batch on a device."""
        context = None if self.context is None else self.context.to(device)
        dtype = torch.float32 if device.type == "mps" else None  # which has no float64
        weight = None if self.weight is None else self.weight.to(device, dtype)
        return Batch(self.x.to(device), context, weight)

    def mean(self, terms: Tensor) -> Tensor:
        """The mean of one term per row, each counting by its weight.

        The weights have a mean of 1 over the split, not over the batch, so that the means of
        minibatches are on average that of the split.
        """
        return (terms if self.weight is None else terms * self.weight.to(terms.dtype)).mean()


class Rows(NamedTuple):
    """One split of a data set, ready for a model.

    `x` is `[rows, features]` in model space, `context` `[rows, context_features]` or None, and
    `log_det` (float64, `[rows]` or a scalar) is log |det| of the map from data units to model
    space: log p(data units) = log p(model space) + log_det. `weight` is how much each row counts,
    `[rows]` with a mean of 1; None: all the same.
    """

    x: Tensor
    context: Tensor | None
    log_det: Tensor
    weight: Tensor | None = None

    def __len__(self) -> int:
        return len(self.x)

    def batch(self, index: slice | Tensor = ALL) -> Batch:
        """The rows selected by an index, by default all, as a batch."""
        context = None if self.context is None else self.context[index]
        weight = None if self.weight is None else self.weight[index]
        return Batch(self.x[index], context, weight)

    def to(self, device: torch.device) -> "Rows":
        """The rows on a device; `log_det`, which models do not use, stays where it is."""
        return self._with(self.batch().to(device), self.log_det)

    def part(self, index: slice) -> "Rows":
        """Some of the rows."""
        log_det = self.log_det[index] if self.log_det.ndim else self.log_det
        return self._with(self.batch(index), log_det)

    def share(self) -> "Rows":
        """This rank's share: every n-th row of n ranks, or all rows on a single rank."""
        return self.part(slice(ranks.rank(), None, ranks.size()))

    def whole(self) -> "Rows":
        """The rows without missing cells (NaN)."""
        missing = self.x.isnan().any(-1)
        if not missing.any():
            return self
        log_det = self.log_det[~missing] if self.log_det.ndim else self.log_det
        return self._with(self.batch(~missing), log_det)

    def changed(self, **parts: Tensor | None) -> "Rows":
        """The rows with some of their parts replaced."""
        return Rows(**{name: parts.get(name, getattr(self, name)) for name in self._fields})  # type: ignore[arg-type]

    def _with(self, batch: Batch, log_det: Tensor) -> "Rows":
        return Rows(batch.x, batch.context, log_det, batch.weight)


class BatchLoader:
    """Minibatches for training, several of them per item.

    An item is a list of up to `steps_per_item` minibatches, which amortises the Trainer's
    overhead per item. Every row is used exactly once per epoch. The last minibatch
    also takes a remainder of at most half a batch, so that no minibatch is too small for
    batch statistics; fewer rows than a batch are one minibatch. The order of epoch e depends on
    (seed, e) alone; `state_dict` holds the position. An epoch resumed after an interruption has as
    many items as any other: those already yielded come back empty.

    With several ranks, each gets its own share of every minibatch.

    Args:
        rows: rows to draw from.
        batch_size: rows per minibatch.
        seed: seed of the shuffling.
        steps_per_item: minibatches per item; None: items are single minibatches instead of lists,
            and None in place of each already yielded.

    Raises:
        ValueError: a minibatch has fewer than two rows per rank.

    Example:
        >>> import torch
        >>> rows = Rows(torch.arange(9.0).unsqueeze(-1), None, torch.tensor(0.0))
        >>> loader = BatchLoader(rows, batch_size=4, seed=0, steps_per_item=2)
        >>> [[len(batch.x) for batch in item] for item in loader]
        [[4, 5]]
    """

    def __init__(
        self, rows: Rows, *, batch_size: int, seed: int, steps_per_item: int | None = 64
    ) -> None:
        if 1 < ranks.size() > min(batch_size, len(rows)) // 2:
            raise ValueError(
                f"training.batch_size={batch_size}, of {len(rows)} training rows, is split over "
                f"{ranks.size()} ranks: expected at least {2 * ranks.size()}, two rows for each"
            )
        self.rows = rows
        self.batch_size = batch_size
        self.seed = seed
        self.steps_per_item: int = steps_per_item or 1
        self.in_lists: bool = steps_per_item is not None
        self.epoch: int = 0
        self.item: int = 0
        self.steps: int = max(1, (len(rows) + (batch_size - 1) // 2) // batch_size)

    def __len__(self) -> int:
        return -(-self.steps // self.steps_per_item)

    def __iter__(self) -> Iterator[Any]:
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        order = torch.randperm(len(self.rows), generator=generator).to(self.rows.x.device)
        yield from [[] if self.in_lists else None] * self.item
        while self.item < len(self):
            first = self.item * self.steps_per_item
            steps = range(first, min(first + self.steps_per_item, self.steps))
            self.item += 1
            batches = [self.rows.batch(self._share(order, step)) for step in steps]
            yield batches if self.in_lists else batches[0]
        self.epoch, self.item = self.epoch + 1, 0

    def _share(self, order: Tensor, step: int) -> Tensor:
        stop = None if step == self.steps - 1 else (step + 1) * self.batch_size
        return order[step * self.batch_size : stop].tensor_split(ranks.size())[ranks.rank()]

    def state_dict(self) -> dict[str, int]:
        """Position in the epoch: the next item to yield."""
        return {"epoch": self.epoch, "item": self.item}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Resume at the position of another loader with the same rows, batch size and seed."""
        self.epoch, self.item = state["epoch"], state["item"]


class SequentialLoader:
    """All rows in order, for evaluation.

    Args:
        rows: rows to yield.
        chunk: rows per batch.

    Example:
        >>> import torch
        >>> rows = Rows(torch.zeros(5, 1), None, torch.tensor(0.0))
        >>> [len(batch.x) for batch in SequentialLoader(rows, chunk=4)]
        [4, 1]
    """

    def __init__(self, rows: Rows, *, chunk: int = 8192) -> None:
        self.rows = rows
        self.chunk = chunk

    def __len__(self) -> int:
        return -(-len(self.rows) // self.chunk)

    def __getitem__(self, index: int) -> Batch:
        return self.rows.batch(slice(index * self.chunk, (index + 1) * self.chunk))

    def __iter__(self) -> Iterator[Batch]:
        return map(self.__getitem__, range(len(self)))
