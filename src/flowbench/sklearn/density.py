"""The density of rows, as an estimator."""

from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import DensityMixin

from flowbench.sklearn.estimator import FlowEstimator, seed_of

__all__ = ["FlowDensity", "drawn"]


class FlowDensity(DensityMixin, FlowEstimator):
    """The density p(X) of rows by a normalizing flow, as an estimator of scikit-learn.

    Its parameters are those of `FlowEstimator`: a model by name, limits of its training, a random
    state, and any option of the model and of the training as a setting.

    Attributes:
        density_: the `TrainedDensity`, in the units of X.
        n_features_in_: number of columns of X.
        feature_names_in_: their names, if X was a frame whose columns all have names.

    Example:
        >>> import numpy as np
        >>> from flowbench.sklearn import FlowDensity
        >>> X = np.random.default_rng(0).normal(size=(500, 2)) * [1, 5] + [3, 0]
        >>> estimator = FlowDensity("gaussian", random_state=0).fit(X)
        >>> estimator.score_samples(X[:4]).shape, estimator.sample(3, random_state=1).shape
        ((4,), (3, 2))
    """

    def fit(self, X: Any, y: None = None, sample_weight: Any = None) -> Self:
        """Train the density on rows.

        Args:
            X: `[rows, features]`: an array, a list or a frame.
            y: is not used.
            sample_weight: how much each row counts, at least 0 and of any scale; None: all the
                same.

        Raises:
            ValueError: the rows are too few or not finite, a column is constant or a combination
                of others, or a setting is unknown or does not fit.
        """
        rows = self._rows(X, reset=True)
        self._train(self._named(rows), weights=self._weights(sample_weight, rows))
        return self

    def score_samples(self, X: Any) -> NDArray[Any]:
        """The log-density of every row, in nats, in the units of X: `[rows]`."""
        density = self._fitted()
        return density.log_prob(self._rows(X))

    def score(self, X: Any, y: None = None, sample_weight: Any = None) -> float:
        """The mean log-density of the rows, in nats, weighted if there are weights."""
        return float(np.average(self.score_samples(X).astype(np.float64), weights=sample_weight))

    def sample(self, n_samples: int = 1, random_state: Any = None) -> NDArray[Any]:
        """Draw `[n_samples, features]` in the units of X."""
        return drawn(self._fitted(), n_samples, random_state=random_state)


def drawn(
    density: Any, n: int, context: NDArray[Any] | None = None, *, random_state: Any
) -> NDArray[Any]:
    """Samples by a random state of scikit-learn; PyTorch's own is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed_of(random_state))
        return np.asarray(density.sample(n, context))
