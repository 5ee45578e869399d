"""Rows of two columns of very different scales, and a context that the first depends on."""

import numpy as np


def rows(n=4000, *, seed=0):
    rng = np.random.default_rng(seed)
    c = rng.normal(3.0, 10.0, (n, 1))
    a = 100 + 2 * c + 5 * rng.normal(size=(n, 1))
    return np.concatenate([a, -1e-3 * rng.normal(size=(n, 1))], axis=1), c
