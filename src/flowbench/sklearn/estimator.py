"""What all estimators share: their parameters, and the training."""

import inspect
from typing import Any, Self

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import Tags, check_random_state
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from flowbench.config.annotations import fits
from flowbench.config.limits import Accelerator, Positive
from flowbench.config.words import describe
from flowbench.data.arrays import Pair
from flowbench.data.options import DataError
from flowbench.density import TrainedDensity
from flowbench.from_config import build_flow
from flowbench.run.models import marginalizes, model_of
from flowbench.sklearn.settings import TRAINING, known_settings, refuse_unknown
from flowbench.training.fitting import fit

__all__ = ["FLOATS", "FlowEstimator", "seed_of"]

FLOATS: Any = (np.float64, np.float32)
LARGEST_SEED = 2**31 - 1
DEFAULT_MINUTES = 1.0


class FlowEstimator(BaseEstimator):
    """Parameters of an estimator, and the training of its density.

    Args:
        model: name of the flow, as in `python train.py model=…`: "gaussian", "maf", "realnvp",
            "maf_spline", "made_mog", …; or "auto", the best of several and their mixture.
        minutes: wall time of the training, at most; None: no limit, but one minute for "auto".
        max_epochs: passes over the training rows, at most.
        validation: share of the rows that is held out for early stopping.
        accelerator: "cpu", "gpu", "mps" or "auto".
        progress: show the epochs on stderr.
        random_state: seed of initial weights, of the split and of the order of batches, as in
            scikit-learn.
        settings: options of the model (`layers`, `hidden_units`, …) and of its training
            (`learning_rate`, `batch_size`, …), which are parameters like the others.
    """

    density_: TrainedDensity

    def __init__(
        self,
        model: str = "maf",
        *,
        minutes: float | None = None,
        max_epochs: int = 1000,
        validation: float = 0.1,
        accelerator: Accelerator = "cpu",
        progress: bool = False,
        random_state: Any = None,
        **settings: Any,
    ) -> None:
        self.model = model
        self.minutes = minutes
        self.max_epochs = max_epochs
        self.validation = validation
        self.accelerator: Accelerator = accelerator
        self.progress = progress
        self.random_state = random_state
        for name, value in settings.items():
            setattr(self, name, value)

    def get_params(self, deep: bool = True) -> dict[str, Any]:  # noqa: FBT001, FBT002 (its base)
        """All parameters by name, settings included."""
        return {
            name: value
            for name, value in sorted(vars(self).items())
            if not name.startswith("_") and not name.endswith("_")
        }

    def set_params(self, **params: Any) -> Self:
        """Change parameters; settings need not have been given before, and `fit` checks them."""
        for name, value in params.items():
            setattr(self, name, value)
        return self

    @classmethod
    def _own_parameters(cls) -> frozenset[str]:
        kinds = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
        signature = inspect.signature(cls.__init__).parameters.values()
        return frozenset(one.name for one in signature if one.kind not in kinds) - {"self"}

    def _train(self, x: Any, context: Any = None, weights: Any = None) -> None:
        """Train `density_` on rows and their contexts, and let it score in float64."""
        refuse_unknown(self._settings(), known_settings(self.model), model=self.model)
        if self.minutes is not None and not fits(self.minutes, Positive):
            raise ValueError(f"minutes={self.minutes!r}: expected {describe(Positive)} or None")
        train = self._race if self.model == "auto" else self._fit
        try:
            density = train(x, context, weights, max(self.validation, 1 / len(x)))
        except DataError as error:
            raise ValueError(str(error)) from error
        self.density_ = density.double()

    def _settings(self) -> dict[str, Any]:
        """The parameters that are options of the model or of its training."""
        own = self._own_parameters()
        return {name: one for name, one in self.get_params().items() if name not in own}

    def _fit(self, x: Any, context: Any, weights: Any, validation: float) -> TrainedDensity:
        settings = self._settings()
        training: Any = {name: settings.pop(name) for name in TRAINING & settings.keys()}
        seed = seed_of(self.random_state)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            flow = build_flow(
                {**model_of(self.model), **settings},
                features=x.shape[1],
                context_features=0 if context is None else context.shape[1],
            )
        return fit(
            flow,
            x,
            context,
            weights=weights,
            validation=validation,
            standardized=not flow.discrete,
            max_epochs=self.max_epochs,
            minutes=self.minutes,
            accelerator=self.accelerator,
            seed=seed,
            progress=self.progress,
            **training,
        )

    def _race(self, x: Any, context: Any, weights: Any, validation: float) -> TrainedDensity:
        from flowbench.run.auto.fitting import fit_auto  # imports Hydra

        return fit_auto(
            Pair.of(x, context, weights),
            minutes=DEFAULT_MINUTES if self.minutes is None else self.minutes,
            validation=validation,
            seed=seed_of(self.random_state),
            accelerator=self.accelerator,
            progress=self.progress,
        )

    def _rows(self, X: Any, *, reset: bool = False) -> Any:
        """Rows, checked; a cell may be missing (NaN) where the model integrates it out."""
        return validate_data(
            self,
            X,
            dtype=FLOATS,
            ensure_min_samples=2 if reset else 1,
            reset=reset,
            ensure_all_finite="allow-nan" if marginalizes(self.model) else True,
        )

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = marginalizes(self.model)
        return tags

    @staticmethod
    def _weights(sample_weight: Any, x: Any) -> NDArray[np.float64] | None:
        """Weights of rows, checked; None: all the same."""
        if sample_weight is None:
            return None
        return _check_sample_weight(sample_weight, x, dtype=np.float64, ensure_non_negative=True)

    def _named(self, x: Any) -> Any:
        """Rows with the names of their columns, if they have any."""
        names = getattr(self, "feature_names_in_", None)
        return x if names is None else pd.DataFrame(x, columns=names)

    def _fitted(self) -> TrainedDensity:
        check_is_fitted(self)
        return self.density_


def seed_of(random_state: Any) -> int:
    """A seed drawn from what scikit-learn calls a random state; an integer is itself one.

    Example:
        >>> seed_of(7), seed_of(np.random.RandomState(0)) == seed_of(np.random.RandomState(0))
        (7, True)
    """
    if isinstance(random_state, int | np.integer):
        return int(random_state)
    return int(check_random_state(random_state).randint(LARGEST_SEED))
