"""Rows of low density as outliers."""

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import OutlierMixin

from flowbench.config.limits import Accelerator
from flowbench.sklearn.estimator import FlowEstimator

__all__ = ["FlowOutlierDetector"]


class FlowOutlierDetector(OutlierMixin, FlowEstimator):
    """Outliers are the rows of lowest density under a normalizing flow.

    Args:
        model: see `FlowDensity`, as all other parameters.
        contamination: share of the training rows that are outliers, which sets the threshold:
            above 0, at most 0.5.

    Attributes:
        density_: the `TrainedDensity`, in the units of X.
        offset_: the threshold, a log-density in nats.
        n_features_in_: number of columns of X.
        feature_names_in_: their names, if X was a frame whose columns all have names.

    Example:
        >>> import numpy as np
        >>> from flowbench.sklearn import FlowOutlierDetector
        >>> X = np.random.default_rng(0).normal(size=(500, 2))
        >>> detector = FlowOutlierDetector("gaussian", contamination=0.02, random_state=0).fit(X)
        >>> detector.predict([[0.0, 0.0], [9.0, 9.0]])
        array([ 1, -1])
    """

    def __init__(
        self,
        model: str = "maf",
        *,
        contamination: float = 0.1,
        minutes: float | None = None,
        max_epochs: int = 1000,
        validation: float = 0.1,
        accelerator: Accelerator = "cpu",
        progress: bool = False,
        random_state: Any = None,
        **settings: Any,
    ) -> None:
        super().__init__(
            model,
            minutes=minutes,
            max_epochs=max_epochs,
            validation=validation,
            accelerator=accelerator,
            progress=progress,
            random_state=random_state,
            **settings,
        )
        self.contamination = contamination

    def fit(self, X: Any, y: None = None, sample_weight: Any = None) -> Self:
        """Train the density on rows, and set the threshold.

        Args:
            X: `[rows, features]`.
            y: is not used.
            sample_weight: how much each row counts, at least 0 and of any scale, in the density
                and in the share of outliers; None: all the same.
        """
        if not 0 < self.contamination <= 0.5:
            raise ValueError(
                f"contamination={self.contamination}: expected a share above 0 and at most 0.5"
            )
        rows = self._rows(X, reset=True)
        self._train(self._named(rows), weights=self._weights(sample_weight, rows))
        scores = self.density_.log_prob(rows)
        self.offset_: float = _threshold(
            scores, self.contamination, self._weights(sample_weight, rows)
        )
        return self

    def score_samples(self, X: Any) -> NDArray[Any]:
        """The log-density of every row, in nats, in the units of X: `[rows]`."""
        density = self._fitted()
        return density.log_prob(self._rows(X))

    def decision_function(self, X: Any) -> NDArray[Any]:
        """By how many nats every row lies above the threshold; outliers lie below: `[rows]`."""
        return self.score_samples(X) - self.offset_

    def predict(self, X: Any) -> NDArray[np.int64]:
        """1 for every row that is none, -1 for an outlier: `[rows]`."""
        return np.where(self.decision_function(X) < 0, -1, 1)


def _threshold(scores: NDArray[Any], share: float, weight: NDArray[np.float64] | None) -> float:
    """The lowest score with more than a share of the weight of all rows at it or below."""
    order = np.argsort(scores)
    ends = np.cumsum(np.ones(len(scores)) if weight is None else weight[order])
    place = np.searchsorted(ends, share * ends[-1] * (1 + 1e-9), side="right")
    return float(scores[order[min(int(place), len(scores) - 1)]])
