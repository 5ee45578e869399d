"""The cells of lattices: which a coordinate lies in, and a random point in one."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from flowbench.transforms.lattice import ROUNDING

__all__ = ["Cells", "noisy"]

MARGIN = 2.0**-16  # kept free below the upper edge of a cell, so that rounding does not cross it
SHORTEST_TAIL = 2.0  # in cells


class Cells(nn.Module):
    r"""Cells [k, k + 1) of coordinates u, for the outcomes k of each feature.

    Where a lattice is unbounded, the first and the last outcome are all cells below and above its
    levels. Beyond them the probability falls geometrically, with a mean distance of a tenth of the
    levels.

    Args:
        levels: the number of levels of each feature.
        unbounded: whether there are cells below and above them.

    Example:
        >>> cells = Cells([3], unbounded=False)
        >>> cells.outcomes(torch.tensor([[0.5], [2.0], [4.9]]))[0].flatten()
        tensor([0, 2, 2])
    """

    counts: Tensor
    decay: Tensor

    def __init__(self, levels: Sequence[int], *, unbounded: bool) -> None:
        super().__init__()
        self.unbounded: int = int(unbounded)
        here = torch.get_default_device()
        counts = torch.tensor(levels, device=here) + 2 * self.unbounded
        self.register_buffer("counts", counts, persistent=False)
        tail = (counts.to(torch.get_default_dtype()) / 10).clamp(min=SHORTEST_TAIL)
        self.register_buffer("decay", 1 - 1 / tail, persistent=False)

    def outcomes(self, u: Tensor, feature: int | slice = slice(None)) -> tuple[Tensor, Tensor]:
        """The outcomes of coordinates, and how many cells each coordinate is outside of them."""
        place = torch.floor(u.detach() + ROUNDING) + self.unbounded
        place = place.masked_fill(place.isnan(), 0.0)
        highest = (self.counts[feature] - 1).to(place.dtype)
        k = place.clamp(torch.zeros_like(highest), highest)
        return k.long(), (place - k).abs()

    def log_shares(self, k: Tensor, outside: Tensor) -> Tensor:
        """Log-probabilities of cells, given their outcomes: 0, but in tails."""
        if not self.unbounded:
            return torch.where(outside == 0, 0.0, -torch.inf)
        ends = (k == 0) | (k == self.counts - 1)
        tail = outside * self.decay.log() + (1 - self.decay).log()
        return torch.where(ends, tail, 0.0).masked_fill(~outside.isfinite(), -torch.inf)

    def drawn(self, k: Tensor, like: Tensor, feature: int | slice = slice(None)) -> Tensor:
        """The lower edges of cells of outcomes, those in tails drawn; see also `noisy`."""
        place = (k - self.unbounded).to(like)
        if self.unbounded:
            distance = (1 - torch.rand_like(place)).log().div(self.decay[feature].log()).floor()
            place = torch.where(k == 0, place - distance, place)
            place = torch.where(k == self.counts[feature] - 1, place + distance, place)
        return place


def noisy(place: Tensor) -> Tensor:
    """Random points of the cells with these lower edges."""
    return place + torch.rand_like(place) * (1 - MARGIN - place.abs() / 2**20).clamp(min=0)
