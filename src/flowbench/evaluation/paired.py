"""Two densities compared row by row."""

import hashlib

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from flowbench.evaluation.score import summarize

__all__ = ["paired_difference", "rows_sha256"]


def paired_difference(
    first: Tensor, second: Tensor, weight: Tensor | None = None
) -> dict[str, float]:
    """The mean of the row-wise differences of log-likelihoods, with its own error.

    Log-likelihoods of the same rows are strongly correlated between models, so the error of the
    difference is far smaller than the errors of the two means suggest.

    Args:
        first: log-likelihoods of rows in data units, in nats.
        second: those of the same rows under another density.
        weight: how much each row counts; None: all the same.

    Returns:
        `mean`, `two_standard_errors` and order statistics of first − second, and `better`, the
        share of rows on which the first is higher.

    Raises:
        ValueError: the numbers of rows differ.

    Example:
        >>> import torch
        >>> first = torch.tensor([0.0, 10.0, 20.0], dtype=torch.float64)
        >>> difference = paired_difference(first, first - torch.tensor([1.0, 1.0, 1.5]))
        >>> round(difference["mean"], 4), round(difference["two_standard_errors"], 4)
        (1.1667, 0.3333)
    """
    if first.shape != second.shape:
        raise ValueError(f"expected the same rows twice, got {len(first)} and {len(second)}")
    difference = first.double() - second.double()
    better = summarize((difference > 0).double(), weight)["mean"]
    return summarize(difference, weight) | {"better": better}


def rows_sha256(
    rows: NDArray[np.generic], weight: NDArray[np.generic] | None = None, *, chunk: int = 65536
) -> str:
    """The SHA-256 of rows, their type and their shape: scores can be paired where it is the same.

    Args:
        rows: `[n, ...]`, which may lie on disk.
        weight: how much each counts, `[n]`; None: all the same.
        chunk: how many rows are read at a time.

    Example:
        >>> rows = np.arange(6.0).reshape(3, 2)
        >>> known = rows_sha256(rows)
        >>> known == rows_sha256(rows, chunk=2), known == rows_sha256(-rows)
        (True, False)
    """
    whole = hashlib.sha256(f"{rows.dtype.str} {rows.shape} ".encode())
    for start in range(0, len(rows), chunk):
        whole.update(np.ascontiguousarray(rows[start : start + chunk]).tobytes())
    if weight is not None:
        whole.update(np.ascontiguousarray(weight, np.float64).tobytes())
    return whole.hexdigest()
