"""Maps of single features, and rows with missing cells."""

import torch
from torch import Tensor

from flowbench.tracing import holds
from flowbench.transforms.base import Transform

__all__ = ["inverse_of_present"]


def inverse_of_present(transform: Transform, x: Tensor) -> tuple[Tensor, Tensor]:
    """Data → noise by a map of one feature each; NaN is a missing cell, and stays.

    Args:
        transform: noise → data; it may also permute the features.
        x: `[..., features]`.

    Returns:
        The noise `[..., features]`, and the log |det ∂u/∂x| of the present features.

    Example:
        >>> from flowbench.transforms import Affine
        >>> inverse_of_present(Affine(scale=[2.0, 3.0]), torch.tensor([[4.0, torch.nan]]))
        (tensor([[2., nan]]), tensor([-0.6931]))
    """
    missing = x.isnan()
    if holds(~missing):
        return transform.inverse(x)
    with torch.no_grad():
        middle = transform(torch.zeros_like(x[(0,) * (x.ndim - 1)]))[0].expand_as(x).contiguous()
        slopes = torch.func.jvp(  # 0 but for what comes of missing cells
            lambda at: transform.inverse(at)[0], (middle,), (missing.to(x),)
        )[1]
    u, log_det = transform.inverse(torch.where(missing, middle, x))
    from_missing = slopes != 0
    lost = torch.where(from_missing, slopes, 1.0).abs().log().sum(-1)
    return u.masked_fill(from_missing, torch.nan), log_det - lost
