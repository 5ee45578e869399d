"""The workloads of the benchmark's table."""

from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

__all__ = ["BINS", "LAYERS", "RATE", "WORKS", "Work", "products", "rows"]


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
RATE = 1e-4  # of learning


def products(work: Work) -> list[tuple[int, int]]:
    """Inputs and outputs of the linear layers of a layer's networks, masks aside."""
    inputs = work.features // 2 if work.kind == "realnvp" else work.features
    params = 3 * BINS - 1 if work.kind == "spline" else 2
    widths = [inputs, *work.hidden, params * inputs]
    return list(pairwise(widths))


def rows(work: Work, count: int) -> tuple[Any, Any]:
    """Events and contexts, float32; correlated, so that there is something to learn."""
    draw = np.random.default_rng(0)
    x = draw.standard_normal((count, work.features)) @ draw.standard_normal((work.features,) * 2)
    c = draw.standard_normal((count, work.context)) if work.context else None
    x = (x - x.mean(0)) / x.std(0)
    return x.astype("float32"), None if c is None else c.astype("float32")
