"""One run: configuration → data → flow → Lightning module → fit → evaluation → result.json."""

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.utilities import rank_zero_only

from flowbench import ranks
from flowbench.config.settings import Settings
from flowbench.console import say
from flowbench.data.measure import measure_table
from flowbench.evaluation.calibration import calibration
from flowbench.evaluation.prior import refuse_idle
from flowbench.evaluation.split import scored
from flowbench.figures.figures import chosen, draw_figures
from flowbench.run.auto.auto import is_race, race
from flowbench.run.building import (
    flow_of,
    module_of,
    read_data,
    refuse_changed_data,
    refuse_other_modules,
)
from flowbench.run.fit import fit
from flowbench.run.folder import RunFolder
from flowbench.run.loggers import log_results, watching
from flowbench.run.names import SWEEP, run_command
from flowbench.run.peak_memory import PeakMemory
from flowbench.run.record import published_result, record
from flowbench.run.result import sampling_speed, summary
from flowbench.run.same_start import refuse_different_starts
from flowbench.training.cpu_time import CpuTime
from flowbench.training.devices import meet
from flowbench.training.interrupted import Interrupted
from flowbench.training.interruption import leaving_together
from flowbench.training.quiet import quiet

__all__ = ["run"]


def run(settings: Settings, path: Path) -> dict[str, Any]:
    """Train and evaluate as the settings say, or return the result of a finished run.

    Args:
        settings: see `configuration.check`.
        path: of the run folder, see `identity.run_directory`.

    Returns:
        The contents of `result.json`; empty if a search has pruned the run.
    """
    folder = RunFolder(path)
    if rank_zero_only.rank:  # type: ignore[attr-defined]
        return _assist(settings, folder)
    command = run_command()
    options = {"always": SWEEP in os.environ, "overwrite": settings.overwrite}
    with folder.lock(), folder.recording(command=command, **options):
        if settings.overwrite:
            folder.refuse_other_files()
        _meet(settings, folder)
        if folder.finished and not settings.overwrite:
            result = folder.read_result()
            refuse_changed_data(settings, folder)
            told = f"this run is finished (overwrite=true starts over):\n{summary(result, path)}"
        elif result := _carry_out(settings, folder, command=command):
            result = folder.read_result()
            told = summary(result, path)
        else:
            told = f"pruned at epoch {folder.read_pruned()}: {path}"
    say(told)
    ranks.leave()
    return result


@ranks.naming_the_dead()
@quiet()
def _carry_out(settings: Settings, folder: RunFolder, *, command: str) -> dict[str, Any]:
    """The whole run; empty if a search has pruned it, or if this process is not the first."""
    refuse_other_modules(settings)
    figures = chosen(settings.figures)
    reference, memory, cpu_time = published_result(settings), PeakMemory(), CpuTime()
    if not settings.overwrite:
        _describe(settings, folder, command)
    pl.seed_everything(settings.seed, verbose=False)
    data = read_data(settings)
    if told := measure_table(data.raw):
        rank_zero_only(say)(told)
    refuse_idle(data, settings.evaluation)
    module = None
    if not is_race(settings):
        module = module_of(settings, flow_of(settings, data), data)
    if settings.overwrite:
        _describe(settings, folder, command)
    rank_zero_only(folder.record_data)(data.raw.sha256)
    with leaving_together(), watching(settings, folder) as loggers:
        if module is None:
            if (folder.path / "race.json").is_file():
                cpu_time.before = None  # a race goes on, which has not kept its CPU time
            fitted = race(data, settings, folder)
        else:
            fitted = fit(
                module, data, settings, folder, loggers, command=command, cpu_time=cpu_time
            )
        if fitted is None:
            return {}
        found = {
            split: scored(fitted.flow, data, split, options=settings.evaluation)
            for split in (("test",) if fitted.val else ("test", "val"))
        }
        spent = cpu_time.of_all_ranks()
        if not fitted.leads:
            return {}
        scores = {split: block for split, (block, _) in found.items()}
        if fitted.val:
            scores["val"] = {"log_likelihood": fitted.val}
        speed = sampling_speed(fitted.flow, data.rows["test"].context)
        calibrated = calibration(
            fitted.flow,
            data.rows["test"],
            data.raw.feature_names,
            context_names=data.context_names,
            context_preprocess=data.context_preprocess,
            seconds=fitted.seconds_left,
        )
        draw_figures(fitted.flow.cpu(), data, fitted.history, folder.figures, figures)
        result = record(
            settings, folder, data, fitted, scores=scores, samples_per_second=speed,
            calibration=calibrated, reference=reference, memory=memory,
            cpu_seconds=spent,
        )  # fmt: skip
        weight = data.rows["test"].weight
        own = None if weight is None else weight.numpy()
        folder.write_test_scores(found["test"][1].numpy(), own)
        result |= {"hash": folder.path.parent.name, "command": command}
        folder.write_result(result)
        log_results(loggers, scores, folder, step=fitted.step)
    return result


@rank_zero_only
def _describe(settings: Settings, folder: RunFolder, command: str) -> None:
    """Write `config.yaml`; an earlier run that it would describe no more is set aside first."""
    if settings.overwrite:
        folder.set_aside()
    folder.write_config(settings.plain, command=command)


def _assist(settings: Settings, folder: RunFolder) -> dict[str, Any]:
    """Ranks other than 0 train and score with it; rank 0 alone logs, writes and prints."""
    _meet(settings, folder)
    if settings.overwrite or not folder.finished:
        try:
            _carry_out(replace(settings, logger={}), folder, command="")
        except Interrupted as stop:
            sys.exit(stop.code)
    ranks.leave()
    return {}


@quiet()
def _meet(settings: Settings, folder: RunFolder) -> None:
    """Set up the process group, and refuse ranks that would start from different points."""
    meet(settings.trainer)
    if not settings.overwrite:
        refuse_different_starts(folder)
