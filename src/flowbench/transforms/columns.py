"""Maps of many rows without gradients, in parts that stay in cache."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from flowbench.nn.columns import ColumnFunction, column_function
from flowbench.tracing import may_split

__all__ = ["columns_of", "mapped_in_parts"]

NUMBERS = 2**18  # of a layer's units for all rows of a part
LEAST, MOST = 256, 1024  # rows of a part
FEWEST = 512  # rows for which it pays


def columns_of(network: nn.Module, x: Tensor, context: Tensor | None) -> ColumnFunction | None:
    """The network as a function of columns, where that is faster and nobody can tell."""
    if not may_split(x) or not x.is_cpu:
        return None
    rows = x.shape[:-1].numel()
    if context is not None:
        rows = max(rows, context.shape[:-1].numel())
    return column_function(network) if rows >= FEWEST else None


def mapped_in_parts(
    mapped: Callable[[Tensor, Tensor | None], tuple[Tensor, Tensor]],
    network: nn.Module,
    x: Tensor,
    context: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """The images of rows and their log-determinants.

    Args:
        mapped: maps columns `[features, rows]` and contexts `[context_features, rows]` to columns
            and log-determinants `[rows]`.
        network: whose widest layer limits the rows of a part.
        x: `[..., features]`.
        context: `[..., context_features]`, or None; its batch shape broadcasts with that of x.

    Example:
        >>> with torch.no_grad():
        ...     double = lambda x, _: (2 * x, x.sum(0))
        ...     mapped_in_parts(double, nn.Linear(2, 2), torch.ones(3, 2), None)[1]
        tensor([2., 2., 2.])
    """
    batch = x.shape[:-1]
    if context is not None:
        batch = torch.broadcast_shapes(batch, context.shape[:-1])
        context = context.expand(*batch, -1).reshape(-1, context.shape[-1])
    rows = x.expand(*batch, -1).reshape(-1, x.shape[-1])
    u, log_det = torch.empty_like(rows), rows.new_empty(len(rows))
    widest = max(len(parameter) for parameter in network.parameters())
    size = min(max(NUMBERS // widest, LEAST), MOST)
    for start in range(0, len(rows), size):
        part = slice(start, start + size)
        given = None if context is None else context[part].mT.contiguous()
        columns, log_det[part] = mapped(rows[part].mT.contiguous(), given)
        u[part] = columns.mT
    return u.view(*batch, -1), log_det.view(batch)
