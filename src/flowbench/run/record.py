"""The contents of `result.json`."""

from collections.abc import Mapping
from typing import Any

from flowbench.config.settings import Settings
from flowbench.data import DataModule
from flowbench.data.measure import measure
from flowbench.evaluation.curves import step_summary
from flowbench.evaluation.paired import rows_sha256
from flowbench.evaluation.published import comparable, published, published_curve, table_name
from flowbench.run.deviations import deviations
from flowbench.run.fit import Fitted
from flowbench.run.folder import RunFolder
from flowbench.run.peak_memory import PeakMemory
from flowbench.run.result import environment
from flowbench.transforms.lattice import LatticeCoordinates

__all__ = ["published_result", "record"]


def published_result(settings: Settings) -> dict[str, Any] | None:
    """The published result that the settings name.

    Raises:
        PublishedError: there is none for this model on these data.
    """
    if settings.published is None:
        return None
    asked = settings.published
    return published(asked.source, asked.model, data=table_name(settings.data))


def record(
    settings: Settings,
    folder: RunFolder,
    data: DataModule,
    fitted: Fitted,
    *,
    scores: Mapping[str, Mapping[str, Any]],
    samples_per_second: float,
    calibration: Mapping[str, Any] | None,
    reference: Mapping[str, Any] | None,
    memory: PeakMemory,
    cpu_seconds: float | None,
) -> dict[str, Any]:
    """The result of a run as plain values, without `hash` and `command`.

    Args:
        settings: of the run.
        folder: of the run.
        data: set up.
        fitted: the outcome of the training.
        scores: split → its evaluation.
        samples_per_second: as measured.
        calibration: of the test rows, see `evaluation.calibration`.
        reference: the published result to compare with, if there is one.
        memory: counting since the run began.
        cpu_seconds: of the run so far, all attempts and ranks; None if unknown.
    """
    curve, name = [], settings.data["name"]
    if reference:
        difference = comparable(scores["test"]) - reference["mean"]
        reference = {**reference, "difference": difference}
        curve = published_curve(reference["source"], name)
    history = fitted.history
    return {
        "data": name,
        "model": settings.model["name"],
        "seed": settings.seed,
        "status": "finished",
        "features": data.features,
        "context_features": data.context_features,
        "parameters": sum(parameter.numel() for parameter in fitted.flow.parameters()),
        "rows": {split: len(rows) for split, rows in data.rows.items()},
        "test_rows_sha256": rows_sha256(data.raw.x["test"], data.raw.weight.get("test")),
        "knows_lattice": any(
            isinstance(part, LatticeCoordinates) for part in fitted.flow.modules()
        ),
        **measure(data.raw),
        **({"measure": data.other_measure} if data.other_measure else {}),
        **scores,
        "calibration": calibration,
        **({} if fitted.race is None else {"race": fitted.race}),
        "published": reference,
        "deviations": deviations(settings, data),
        "steps": step_summary(folder.path, curve),
        "best_epoch": fitted.best_epoch,
        "epochs": len(history),
        "seconds": history[-1]["seconds"] if history else None,
        "cpu_seconds": cpu_seconds,
        "samples_per_second": samples_per_second,
        "engine": fitted.engine,
        **environment(fitted.device, memory),
    }
