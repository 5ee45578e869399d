"""Maps of data into a space that is easier to model; what they do to data is their `inverse`."""

from collections.abc import Sequence

import torch
from torch import Tensor

from flowbench.transforms.base import Transform

__all__ = ["Log"]


class Log(Transform):
    r"""The logarithm of some features: uᵢ = log xᵢ, the others as they are.

    log |det ∂u/∂x| = −Σᵢ log xᵢ over these features, which must be positive.

    Args:
        columns: the features, counted from 0.

    Raises:
        ValueError: there are none, or a number is negative or comes twice.

    Example:
        >>> u, log_det = Log(columns=[1]).inverse(torch.tensor([5.0, 1.0]))
        >>> u, log_det
        (tensor([5., 0.]), tensor(-0.))
    """

    columns: Tensor

    def __init__(self, columns: Sequence[int]) -> None:
        super().__init__()
        if not columns or min(columns) < 0 or len(set(columns)) < len(columns):
            raise ValueError(f"columns must be numbers from 0, each once, got {list(columns)}")
        self.register_buffer("columns", torch.tensor(columns))

    def forward(self, u: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:  # noqa: D102
        logs = u[..., self.columns]
        return u.index_copy(-1, self.columns, logs.exp()), logs.sum(-1)

    def inverse(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:  # noqa: D102
        logs = x[..., self.columns].log()
        return x.index_copy(-1, self.columns, logs), -logs.sum(-1)
