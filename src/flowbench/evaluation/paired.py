"""Two densities on the same rows: whether one is better is said by the differences of the rows."""

from torch import Tensor

from flowbench.evaluation.score import summarize

__all__ = ["paired_difference"]


def paired_difference(first: Tensor, second: Tensor) -> dict[str, float]:
    """Mean of the row-wise differences of log-likelihoods with its own error.

    Log-likelihoods of rows are strongly correlated between models, so that the error of the
    difference is far smaller than the errors of both means would suggest.

    Args:
        first: log-likelihoods of rows in data units, in nats.
        second: those of the same rows under another density.

    Returns:
        `mean`, `two_standard_errors` and order statistics of first − second, and `better`, the
        share of rows on which the first is higher.

    Raises:
        ValueError: there are not equally many.

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
    return summarize(difference) | {"better": (difference > 0).double().mean().item()}
