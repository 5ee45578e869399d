"""Rows of low density as outliers."""

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import OutlierMixin
from sklearn.utils.validation import validate_data

from flowbench.config.limits import Accelerator
from flowbench.sklearn.density import FLOATS
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

    def fit(self, X: Any, y: None = None) -> Self:
        """Train the density on rows, and set the threshold."""
        if not 0 < self.contamination <= 0.5:
            raise ValueError(
                f"contamination={self.contamination}: expected a share above 0 and at most 0.5"
            )
        rows = validate_data(self, X, dtype=FLOATS, ensure_min_samples=2)
        self._train(self._named(rows))
        self.offset_ = float(np.quantile(self.density_.log_prob(rows), self.contamination))
        return self

    def score_samples(self, X: Any) -> NDArray[Any]:
        """The log-density of every row, in nats, in the units of X: `[rows]`."""
        density = self._fitted()
        return density.log_prob(validate_data(self, X, dtype=FLOATS, reset=False))

    def decision_function(self, X: Any) -> NDArray[Any]:
        """By how many nats every row lies above the threshold; outliers lie below: `[rows]`."""
        return self.score_samples(X) - self.offset_

    def predict(self, X: Any) -> NDArray[np.int64]:
        """1 for every row that is none, -1 for an outlier: `[rows]`."""
        return np.where(self.decision_function(X) < 0, -1, 1)
