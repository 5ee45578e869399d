"""Log-likelihoods while a flow learns, in files of the run folder; `callbacks` asks for them."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback
from torch import Tensor

from flowbench.atomic_files import replacing
from flowbench.data import DataModule, Rows, SoundDataModule
from flowbench.evaluation.anomaly import label_scores
from flowbench.evaluation.likelihood import device_of, log_likelihoods
from flowbench.evaluation.score import Score
from flowbench.flows import Flow
from flowbench.flows.base import log_normal
from flowbench.modes import modes_kept
from flowbench.transforms.weighted_rows import on_rows

__all__ = ["LabelCurve", "StepCurve", "step_summary"]


def step_summary(
    folder: Path, published: Sequence[Mapping[str, Any]] = ()
) -> dict[str, Any] | None:
    """The ends of the curve of a `StepCurve`, beside those of a published one.

    Args:
        folder: of the run.
        published: as `published_curve` gives it.

    Returns:
        `untrained` and `last` rows of `steps.csv`, and as `published` the same of the other curve,
        its `last` being the one whose step is nearest to ours; None where there is no curve.
    """
    if not (folder / StepCurve.file).is_file():
        return None
    import pandas as pd  # slow to import, and most runs have no curve

    rows = pd.read_csv(folder / StepCurve.file).to_dict("records")
    ends: dict[str, Any] = {"untrained": rows[0], "last": rows[-1], "published": None}
    if published:
        nearest = min(published, key=lambda row: abs(row["step"] - rows[-1]["step"]))
        ends["published"] = {"untrained": published[0], "last": nearest}
    return ends


class Curve(Callback, ABC):
    """Rows of numbers that grow while training goes on, kept in a file and in checkpoints."""

    file: ClassVar[str]

    def __init__(self) -> None:
        self.rows: list[dict[str, float]] = []

    @abstractmethod
    def measure(self, flow: Flow, data: DataModule) -> Mapping[str, float]:
        """One row; the flow may be left in evaluation mode."""

    def add(self, trainer: pl.Trainer, module: Any, **place: float) -> None:
        """Measure on all ranks, and write on rank 0."""
        data: DataModule = trainer.datamodule  # type: ignore[attr-defined]
        with modes_kept(module.flow):
            self.rows.append({**place, **self.measure(module.flow, data)})
        if trainer.is_global_zero:
            import pandas as pd

            with replacing(Path(trainer.default_root_dir, self.file), durable=False) as part:
                pd.DataFrame(self.rows).to_csv(part, index=False)

    def state_dict(self) -> dict[str, Any]:
        """The rows so far."""
        return {"rows": self.rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on after the rows of a checkpoint."""
        self.rows = state_dict["rows"]


class LabelCurve(Curve):
    """After every epoch: the mean log-likelihood of the test clips of each label, in model space.

    For sound with a `train_label`; in nats per clip. It goes to `labels.csv`.

    Args:
        labels: those to follow; None: all.

    Raises:
        ValueError: before training: the data have no clips, or none of such a label.
    """

    file = "labels.csv"

    def __init__(self, labels: Sequence[str] | None = None) -> None:
        super().__init__()
        self.labels = labels

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Refuse data without such labels."""
        data = trainer.datamodule  # type: ignore[attr-defined]
        if not isinstance(data, SoundDataModule):
            raise ValueError(f"LabelCurve needs data of sound, got {type(data).__name__}")
        known = list(data.scored_of("test"))
        if unknown := [label for label in self.labels or () if label not in known]:
            raise ValueError(
                f"LabelCurve: labels={unknown[0]}: expected labels of test clips: "
                f"{', '.join(known)}"
            )

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """After validation, when batch norms have their statistics."""
        self.add(trainer, pl_module, epoch=trainer.current_epoch)

    def measure(self, flow: Flow, data: DataModule) -> dict[str, float]:
        """Label → mean."""
        assert isinstance(data, SoundDataModule)
        scores = label_scores(flow, data, "test")
        chosen = scores if self.labels is None else self.labels
        return {label: scores[label].mean().item() for label in chosen}


class StepCurve(Curve):
    """Every so many steps: the mean log-likelihood per training and test row, in model space.

    The first row is of the untrained flow; `base/…` is the log-likelihood of the data themselves
    under N(0, I). It goes to `steps.csv`.

    Args:
        every: steps from one row to the next; it comes with the end of a training item.
        rows: the first so many of each split are scored, and give batch norms their statistics.
    """

    file = "steps.csv"

    def __init__(self, *, every: int = 1000, rows: int = 100_000) -> None:
        super().__init__()
        self.every = every
        self.count = rows

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The untrained flow."""
        if not self.rows:
            self.add(trainer, pl_module, step=0)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: Any, *args: Any, **kwargs: Any
    ) -> None:
        """A row, if one is due."""
        if pl_module.step >= self.rows[-1]["step"] + self.every:
            self.add(trainer, pl_module, step=pl_module.step)

    def measure(self, flow: Flow, data: DataModule) -> dict[str, float]:
        """Means under the flow and under N(0, I)."""
        first = {split: data.rows[split].part(slice(self.count)) for split in ("train", "test")}
        share = first["train"].share()
        train = share.batch().to(device_of(flow))
        on_rows(flow.recompute_statistics, train.x, train.context, train.weight)
        found = {s: _mean(rows, log_likelihoods(flow, rows)) for s, rows in first.items()}
        return found | {
            f"base/{split}": _mean(rows, log_normal(rows.x.double()))
            for split, rows in first.items()
        }


def _mean(rows: Rows, terms: Tensor) -> float:
    return Score.of(terms, weight=rows.weight).mean
