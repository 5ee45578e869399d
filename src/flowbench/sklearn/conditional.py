"""The density of targets given rows, as an estimator."""

from collections.abc import Callable
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import DensityMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_array, check_consistent_length, validate_data

from flowbench.sklearn.density import drawn
from flowbench.sklearn.estimator import FLOATS, FlowEstimator

__all__ = ["ConditionalFlowDensity"]

DRAWS = 1000


class ConditionalFlowDensity(DensityMixin, FlowEstimator):
    """The density p(y | X) of targets given rows, by a conditional flow.

    Its parameters are those of `FlowEstimator`.

    Attributes:
        density_: the `TrainedDensity` of y with X as its context, in the units of both.
        n_features_in_: number of columns of X.
        feature_names_in_: their names, if X was a frame whose columns all have names.

    Example:
        >>> import numpy as np
        >>> from flowbench.sklearn import ConditionalFlowDensity
        >>> generator = np.random.default_rng(0)
        >>> X = generator.normal(size=(500, 2))
        >>> y = X[:, 0] + 0.1 * generator.normal(size=500)
        >>> estimator = ConditionalFlowDensity(layers=1, max_epochs=3, random_state=0).fit(X, y)
        >>> estimator.score_samples(X, y).shape, estimator.sample(X[:5], 10).shape
        ((500,), (10, 5))
        >>> estimator.predict(X[:5]).shape, estimator.quantiles(X[:5], [0.1, 0.9]).shape
        ((5,), (2, 5))
    """

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train the density of y given X.

        Args:
            X: `[rows, features]`, the contexts.
            y: `[rows]` or `[rows, targets]`.
            sample_weight: how much each row counts, at least 0 and of any scale; None: all the
                same.

        Raises:
            ValueError: the rows are too few or not finite, a column is constant or a combination
                of others, or a setting is unknown or does not fit.
        """
        X, y = validate_data(
            self, X, y, dtype=FLOATS, ensure_min_samples=2, multi_output=True, y_numeric=True
        )
        self._shape = y.shape[1:]
        self._train(_columns(y), self._named(X), weights=self._weights(sample_weight, X))
        return self

    def score_samples(self, X: Any, y: Any) -> NDArray[Any]:
        """The log-density of every target given its row, in nats: `[rows]`."""
        density, X = self._fitted(), self._rows(X)
        y = check_array(y, dtype=FLOATS, ensure_2d=False)
        check_consistent_length(X, y)
        return density.log_prob(_columns(y), X)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """The mean log-density of the targets given their rows, in nats, weighted if asked."""
        scores = self.score_samples(X, y).astype(np.float64)
        return float(np.average(scores, weights=sample_weight))

    def sample(self, X: Any, n_samples: int = 1, random_state: Any = None) -> NDArray[Any]:
        """Draw targets for every row: `[n_samples, rows]` or `[n_samples, rows, targets]`."""
        density, X = self._fitted(), self._rows(X)
        samples = drawn(density, n_samples, X, random_state=random_state)
        return samples.reshape(n_samples, len(X), *self._shape)

    def predict(self, X: Any) -> NDArray[Any]:
        """The mean of the target for every row, over 1000 samples of a fixed seed."""
        return self._summaries(X, lambda samples: samples.mean(0))

    def quantiles(self, X: Any, q: Any) -> NDArray[Any]:
        """Quantiles of every target given its row, over 1000 samples of a fixed seed.

        Args:
            X: `[rows, features]`.
            q: a probability, or several.

        Returns:
            `[*q, rows]` or `[*q, rows, targets]`.
        """
        found = self._summaries(X, lambda samples: np.quantile(samples, q, axis=0))
        return np.moveaxis(found, 0, np.ndim(q))

    def _summaries(self, X: Any, summary: Callable[[NDArray[Any]], Any]) -> NDArray[Any]:
        """One summary per row, which does not depend on the other rows."""
        density, X = self._fitted(), self._rows(X)
        return np.stack(
            [
                summary(drawn(density, DRAWS, row, random_state=0).reshape(DRAWS, *self._shape))
                for row in X
            ]
        )

    def _rows(self, X: Any, *, reset: bool = False) -> Any:
        return validate_data(self, X, dtype=FLOATS, reset=reset)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = False
        tags.target_tags.required = True
        tags.target_tags.multi_output = True
        return tags


def _columns(y: NDArray[Any]) -> NDArray[Any]:
    return y.reshape(len(y), -1)
