"""A run that only trains for longer than a finished one continues from it."""

import shutil
from collections.abc import Mapping
from typing import Any

from flowbench.atomic_files import replacing
from flowbench.config.settings import Settings
from flowbench.config.signatures import without
from flowbench.formatting import counted
from flowbench.run.folder import RunFolder, RunFolderError
from flowbench.run.identity import DISPLAY, ELSEWHERE

__all__ = ["continue_shorter"]

ASIDE = {"paths", "logger", "overwrite", "figures", "save_minutes", "published", "protocol"}


def continue_shorter(settings: Settings, folder: RunFolder) -> bool:
    """Copy the checkpoints of a finished run that this one extends, to resume from.

    The two differ in `trainer.max_epochs` and `training.patience` alone, neither of which was
    larger there. With a constant learning rate the result is that of a single long run, bit for
    bit if both have one engine: a training continues with that of its checkpoint. Other schedules
    may depend on the number of epochs, so that such a run starts from the beginning.

    Args:
        settings: of this run.
        folder: of this run, which has no checkpoint yet; its data are recorded.

    Returns:
        Whether there is such a run.
    """
    shorter = [other for other in _neighbours(folder) if _is_extended_by(other, settings)]
    if not shorter:
        return False
    longest = max(shorter, key=_epochs)
    done = f"{longest.path} ({counted(_epochs(longest), 'epochs')})"
    if settings.training.schedule != "constant":
        print(f"not continued from {done}: training.schedule may depend on trainer.max_epochs")
        return False
    print(f"continuing {done}")
    _take_over(longest, folder)
    return True


def _take_over(other: RunFolder, folder: RunFolder) -> None:
    """Copy what training would have written until now; the last checkpoint comes last."""
    for name in ("best", "metrics", "steps", "labels", "last"):
        source, target = getattr(other, name), getattr(folder, name)
        if source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            with replacing(target) as part:
                shutil.copyfile(source, part)


def _neighbours(folder: RunFolder) -> list[RunFolder]:
    """The finished runs of the same data, model and seed, on the same data."""
    found = sorted(folder.path.parents[1].glob(f"*/{folder.path.name}"))
    others = [RunFolder(path) for path in found if path != folder.path]
    return [
        other
        for other in others
        if all(file.is_file() for file in (other.result, other.last, other.best, other.data))
        and other.data.read_bytes() == folder.data.read_bytes()
    ]


def _is_extended_by(other: RunFolder, settings: Settings) -> bool:
    try:
        config, epochs = other.read_config(), _epochs(other)
        limits, ours = _limits(config), _limits(settings.plain)
        same = _without_limits(config) == _without_limits(settings.plain)
    except (RunFolderError, KeyError, TypeError):
        return False
    shorter = all(mine >= theirs for mine, theirs in zip(ours, limits, strict=True))
    return same and shorter and epochs > 0


def _epochs(finished: RunFolder) -> int:
    return finished.read_result()["epochs"]


def _limits(config: Mapping[str, Any]) -> tuple[float, float]:
    patience = config["training"]["patience"]
    return config["trainer"]["max_epochs"], float("inf") if patience is None else patience


def _without_limits(config: Mapping[str, Any]) -> dict[str, Any]:
    kept = without(config, ASIDE)
    return {
        **kept,
        "trainer": without(config["trainer"], {"max_epochs", *ELSEWHERE, *DISPLAY}),
        "training": without(config["training"], {"patience"}),
        "data": without(config["data"], {"data_dir", "cache_dir"}),
    }
