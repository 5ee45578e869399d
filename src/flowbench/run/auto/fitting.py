"""The best density of rows in memory: `model=auto` without a command."""

import tempfile
from pathlib import Path

from flowbench.checkpoint import TrainedDensity, load
from flowbench.config.defaults import defaults_of
from flowbench.config.settings import Paths, Settings, TrainerKeys, Training
from flowbench.data.arrays import Arrays, Pair, held_out
from flowbench.run.auto.auto import TARGET, race
from flowbench.run.folder import RunFolder
from flowbench.training.quiet import quiet

__all__ = ["fit_auto"]


def fit_auto(
    rows: Pair,
    *,
    minutes: float,
    validation: float,
    seed: int,
    accelerator: str,
    progress: bool,
) -> TrainedDensity:
    """Race on rows; those that are held out choose.

    Args:
        rows: and their contexts.
        minutes: wall time, at most.
        validation: share of the rows that is held out.
        seed: of the split and of all trainings.
        accelerator: of the trainings.
        progress: print the standings.

    Raises:
        DataError: the rows are too few, not finite or dependent.
    """
    data = Arrays(
        held_out(rows, validation, seed=seed), standardized=True, batch_size=128, seed=seed
    )
    data.setup()
    model = {"name": "auto", "_target_": TARGET, "minutes": minutes}
    with tempfile.TemporaryDirectory() as place, quiet():
        settings = _settings(model, place, seed=seed, accelerator=accelerator)
        folder = RunFolder(Path(place) / "run")
        folder.path.mkdir()
        race(data, settings, folder, progress=progress)
        return load(folder.best)


def _settings(model: dict, place: str, *, seed: int, accelerator: str) -> Settings:
    plain = {"seed": seed, "model": model, "training": defaults_of(Training)}
    return Settings(
        seed=seed,
        overwrite=False,
        init_from=None,
        save_minutes=60.0,
        figures=False,
        published=None,
        paths=Paths(data=place, output=place, cache=place),
        model=model,
        data={"name": "rows"},
        training=Training(),
        trainer=TrainerKeys(max_epochs=1, accelerator=accelerator),  # type: ignore[arg-type]
        logger={},
        callbacks={},
        plain=plain,
    )
