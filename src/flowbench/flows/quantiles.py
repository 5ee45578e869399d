"""Where the components of a mixture start."""

import torch
from torch import Tensor

__all__ = ["quantile_start"]


def quantile_start(z: Tensor, components: int, *, least: Tensor | float) -> tuple[Tensor, Tensor]:
    """Means at quantiles of values `[rows]`, and log-scales of half the distances between them.

    Example:
        >>> means, log_scales = quantile_start(torch.arange(5.0), 2, least=0.1)
        >>> means.tolist(), log_scales.exp().tolist()
        ([1.0, 3.0], [1.0, 1.0])
    """
    if not len(z):
        return z.new_zeros(components), z.new_zeros(components)
    ordered = z.sort().values
    shares = (torch.arange(components + 1, device=z.device) / components).double()
    edges = ordered[(shares * (len(z) - 1)).round().long()]
    middle = ordered[((shares[1:] + shares[:-1]) / 2 * (len(z) - 1)).round().long()]
    widths = edges[1:] - edges[:-1]
    least = torch.as_tensor(least, device=z.device).to(z)
    return middle, torch.maximum(widths / 2, least).log()
