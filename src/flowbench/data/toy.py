"""The two-dimensional density of the figures in the MAF paper, with a known entropy."""

import hashlib
import math
from typing import Any

import numpy as np

from flowbench.config.limits import AtLeastOne
from flowbench.config.options import options_of
from flowbench.data.base import DataModule
from flowbench.data.raw import RawData

__all__ = ["Toy"]

TEST_ROWS = 100_000


class Toy(DataModule, options=options_of(DataModule)):
    r"""x₂ ~ N(0, 2²), x₁ | x₂ ~ N(x₂²/4, 1): a banana.

    Its entropy is log(2πe) + log 2, so no density reaches a mean log-likelihood above −3.531
    nats (up to the sampling error of the test rows). See Papamakarios et al. 2017
    (arXiv:1705.07057), figure 1.

    Args:
        train_rows: rows to train on.
        val_rows: rows for early stopping; 100,000 more rows are the test split.
        seed: seeds the rows and their order.

    Example:
        >>> data = Toy(train_rows=1000, val_rows=100, seed=0)
        >>> data.setup()
        >>> {split: tuple(rows.x.shape) for split, rows in data.rows.items()}
        {'train': (1000, 2), 'val': (100, 2), 'test': (100000, 2)}
        >>> round(data.raw.exact_log_likelihood, 3)
        -3.531
    """

    def __init__(
        self, *, train_rows: AtLeastOne = 20_000, val_rows: AtLeastOne = 10_000, **options: Any
    ) -> None:
        super().__init__(**options)
        self.train_rows = train_rows
        self.val_rows = val_rows

    def fingerprint(self) -> str:
        """A SHA-256 of the options, which determine the rows."""
        options = f"toy {self.train_rows} {self.val_rows} {TEST_ROWS} {self.seed}"
        return hashlib.sha256(options.encode()).hexdigest()

    def read(self) -> RawData:
        """Draw the rows; the test rows are the same whatever the number of training rows."""
        sizes = {"train": self.train_rows, "val": self.val_rows, "test": TEST_ROWS}
        x = {
            split: _banana(np.random.default_rng([self.seed, index]), rows)
            for index, (split, rows) in enumerate(sizes.items())
        }
        return RawData(
            x=x,
            preprocess=[],
            feature_names=["x1", "x2"],
            sha256=self.fingerprint(),
            exact_log_likelihood=-(math.log(2 * math.pi * math.e) + math.log(2)),
        )

    def log_density(self, x: np.ndarray) -> np.ndarray:
        """The true log-density in nats of points `[..., 2]`."""
        first, second = x[..., 0], x[..., 1]
        residual = first - second**2 / 4
        return -0.5 * (residual**2 + (second / 2) ** 2) - math.log(2 * math.pi) - math.log(2)


def _banana(rng: np.random.Generator, rows: int) -> np.ndarray:
    second = 2 * rng.standard_normal(rows)
    return np.stack([second**2 / 4 + rng.standard_normal(rows), second], axis=-1)
