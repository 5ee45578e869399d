"""The densities of a race: every entry, trained on each of the folds."""

import math
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import torch
from torch import Tensor

from flowbench.checkpoint import load
from flowbench.config.settings import Settings
from flowbench.evaluation.likelihood import log_likelihoods
from flowbench.evaluation.paired import paired_difference
from flowbench.evaluation.score import Score
from flowbench.flows import Flow, Johnson
from flowbench.run.auto.folds import Fold
from flowbench.run.auto.portfolio import Entry
from flowbench.run.building import flow_of, module_of
from flowbench.run.fit import Fitted, fit
from flowbench.run.folder import RunFolder

__all__ = ["Members"]


class Members:
    """The densities of all entries on all folds, each in a folder of its own.

    Args:
        entries: by name.
        folds: the rows that train and those that choose.
        settings: of the run.
        folder: of the run.
        compiles: whether there is time for `torch.compile`.
    """

    def __init__(
        self,
        entries: Mapping[str, Entry],
        folds: list[Fold],
        settings: Settings,
        folder: RunFolder,
        *,
        compiles: bool,
    ) -> None:
        self.entries = entries
        self.folds = folds
        self.settings = settings
        self.place: Path = folder.path / "race"
        self.compiles = compiles
        self.terms: dict[tuple[str, int], Tensor] = {}

    def folder_of(self, name: str, fold: int) -> RunFolder:
        """Where an entry trains."""
        return RunFolder(self.place / name / f"fold={fold}")

    def newest(self) -> float:
        """When the last checkpoint was written, in seconds; 0 if none was."""
        files = self.place.glob("*/fold=*/checkpoints/*.ckpt")
        return max((path.stat().st_mtime for path in files), default=0.0)

    def flow(self, name: str, fold: int) -> Flow:
        """A density that has trained, of rows in model space."""
        flow = load(self.folder_of(name, fold).best).flow
        if not self.entries[name].johnson:
            return flow
        found = Johnson(flow)
        found.transform.load_state_dict(self.folds[fold].scale.state_dict())
        return found.eval()

    def terms_of(self, name: str, folds: int) -> Tensor:
        """The log-likelihoods, in model space, of the rows that choose in the first folds."""
        return torch.cat([self._terms(name, fold) for fold in range(folds)])

    def weights(self, folds: int) -> Tensor | None:
        """How much each of these rows counts; None: all the same."""
        found = [fold.data.rows["val"].weight for fold in self.folds[:folds]]
        return None if found[0] is None else torch.cat(found)  # type: ignore[arg-type]

    def log_det(self, folds: int) -> Tensor:
        """By how many nats their log-likelihoods in data units differ."""
        each = [fold.data.rows["val"] for fold in self.folds[:folds]]
        return torch.cat([rows.log_det.expand(len(rows)) for rows in each])

    def mean(self, name: str, folds: int) -> float:
        """The mean of these log-likelihoods."""
        return Score.of(self.terms_of(name, folds), weight=self.weights(folds)).mean

    def is_ahead(self, name: str, other: str, folds: int) -> bool:
        """Whether an entry is better than another by more than two standard errors."""
        pair = self.terms_of(name, folds), self.terms_of(other, folds)
        found = paired_difference(*pair, self.weights(folds))
        return found["mean"] > found["two_standard_errors"]

    def train(self, name: str, seconds: float, fold: int) -> Fitted:
        """Train an entry on a fold until it has had so many seconds; infinite: for one epoch."""
        entry, rows = self.entries[name], self.folds[fold]
        settings = self._settings_of(entry, seconds)
        data = rows.training(johnson=entry.johnson, closed=entry.baseline)
        data.batch_size = min(settings.training.batch_size, len(data.rows["train"]))
        module = module_of(settings, flow_of(settings, data), data)
        folder = self.folder_of(name, fold)
        folder.path.mkdir(parents=True, exist_ok=True)
        fitted = fit(module, data, settings, folder, [], command="")
        assert fitted is not None
        self.terms.pop((name, fold), None)
        return fitted

    def _terms(self, name: str, fold: int) -> Tensor:
        if (name, fold) not in self.terms:
            rows = self.folds[fold].data.rows["val"]
            self.terms[name, fold] = log_likelihoods(self.flow(name, fold), rows)
        return self.terms[name, fold]

    def _settings_of(self, entry: Entry, seconds: float) -> Settings:
        """The settings of the run, with the model and the training of an entry."""
        trainer = replace(
            self.settings.trainer,
            max_epochs=1 if math.isinf(seconds) else 1_000_000,
            max_time=None if math.isinf(seconds) else timedelta(seconds=seconds),
            enable_progress_bar=False,
        )
        model = {"name": entry.name, **entry.model}
        engine = self.settings.training.engine
        if engine == "auto" and not self.compiles:
            equal = self.weights(1) is None  # as the native engine takes rows
            engine = "native" if entry.native and equal else "plain"
        return replace(
            self.settings,
            plain={**self.settings.plain, "model": model},
            model=model,
            training=replace(self.settings.training, **entry.training, engine=engine),
            trainer=trainer,
            overwrite=False,
            callbacks={},
        )
