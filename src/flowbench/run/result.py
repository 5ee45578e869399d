"""Parts of a run's report: its environment, its sampling speed, the lines on the screen."""

import importlib.metadata
import platform
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from flowbench.evaluation.likelihood import device_of
from flowbench.evaluation.score import Score
from flowbench.evaluation.text import calibration_lines, describe, line, race_lines, step_lines
from flowbench.flows import Flow
from flowbench.formatting import counted, duration, integer
from flowbench.run.peak_memory import PeakMemory

__all__ = ["environment", "sampling_speed", "summary"]

SAMPLED_VALUES = 100_000


def environment(device: torch.device, memory: PeakMemory) -> dict[str, Any]:
    """Where a result was computed: device, threads, memory, versions, commit."""
    packages = ("flowbench", "torch", "pytorch-lightning", "numpy")
    return {
        "peak_memory_bytes": memory.bytes(device),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "threads": torch.get_num_threads(),
        "versions": {
            "python": platform.python_version(),
            **{name: importlib.metadata.version(name) for name in packages},
        },
        "git": _commit(),
    }


def sampling_speed(flow: Flow, context: torch.Tensor | None) -> float:
    """Samples per second in one call, after a first call to warm up."""
    n = max(1, min(1000, SAMPLED_VALUES // flow.features))
    shape = (n,) if context is None else ()
    context = None if context is None else context[:n].to(device_of(flow))
    flow.sample(shape, context)
    start = time.perf_counter()
    drawn = flow.sample(shape, context).cpu()  # waits for the device
    return len(drawn) / (time.perf_counter() - start)


def summary(result: Mapping[str, Any], folder: Path) -> str:
    """A finished run in a few lines."""
    training = "in closed form"
    if race := result.get("race"):
        training = f"a race of {race['minutes']:g} minutes"
        if "seconds" in race:
            training += f", {duration(race['seconds'])} with scores"
    elif result["epochs"]:
        best = result["best_epoch"]
        took = duration(result["seconds"])
        training = f"{counted(result['epochs'], 'epochs')} (best: epoch {best}, from 0), {took}"
        if engine := result.get("engine"):
            training += f", engine {engine}"
    lines = [
        f"{result['model']} on {result['data']}, seed {result['seed']}: "
        f"{integer(result['parameters'])} trained parameters, {training}",
        *describe(result["test"], "test"),
    ]
    if calibration := result.get("calibration"):
        lines += calibration_lines(calibration)
    if race:
        lines += race_lines(race)
    if result.get("steps"):
        lines += step_lines(result["steps"])
    if known := result["published"]:
        source = f"{known['model']}, {known['source']}"
        lines.append(line("published", f"{Score.parse(known).text()}  ({source})"))
    if beside := result.get("deviations"):
        lines.append(line("beside the protocol", ", ".join(beside)))
    return "\n".join([*lines, line("run folder", folder)])


def _commit() -> str | None:
    """The commit of the checkout, with a plus if it has uncommitted changes."""
    try:
        git = subprocess.run(
            ["git", "describe", "--always", "--dirty=+", "--exclude=*"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return git.stdout.strip()
