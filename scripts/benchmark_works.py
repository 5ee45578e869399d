"""The workloads of the benchmark's table."""

from itertools import pairwise
from typing import NamedTuple

__all__ = ["WORKS", "Work", "products"]


class Work(NamedTuple):
    """A flow of five layers, without batch norm unless it says so, and the size of its events."""

    kind: str
    features: int
    hidden: tuple[int, ...]
    context: int = 0
    batch_norm: bool = False


WORKS = {
    "W1": Work("maf", 8, (100, 100)),
    "W2": Work("maf", 63, (512, 512)),
    "W3": Work("maf", 784, (1024,)),
    "W4": Work("realnvp", 8, (100, 100)),
    "W5": Work("spline", 8, (100, 100)),
    "W6": Work("maf", 8, (100, 100), context=16),
    "W7": Work("maf", 8, (100, 100), batch_norm=True),
}
LAYERS = 5
BINS = 8


def products(work: Work) -> list[tuple[int, int]]:
    """Inputs and outputs of the linear layers of a layer's networks, masks aside."""
    inputs = work.features // 2 if work.kind == "realnvp" else work.features
    params = 3 * BINS - 1 if work.kind == "spline" else 2
    widths = [inputs, *work.hidden, params * inputs]
    return list(pairwise(widths))
