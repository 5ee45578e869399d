"""What a run reports: `result.json` and the lines on the screen."""

import importlib.metadata
import platform
import subprocess
import time
from pathlib import Path
from typing import Any

import torch

from flowbench.evaluation.likelihood import device_of
from flowbench.evaluation.text import events, label_lines, step_lines, unit
from flowbench.flows import Flow
from flowbench.run.peak_memory import PeakMemory

__all__ = ["environment", "sampling_speed", "summary"]

SAMPLED_VALUES = 100_000


def environment(device: torch.device, memory: PeakMemory) -> dict[str, Any]:
    """On what a result was computed: device, threads, memory, versions, commit."""
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
    """Samples per second, drawn in one call after a first one."""
    n = max(1, min(1000, SAMPLED_VALUES // flow.features))
    shape = (n,) if context is None else ()
    context = None if context is None else context[:n].to(device_of(flow))
    flow.sample(shape, context)
    start = time.perf_counter()
    drawn = flow.sample(shape, context).cpu()  # which waits for the device
    return len(drawn) / (time.perf_counter() - start)


def summary(result: dict[str, Any], folder: Path) -> str:
    """A finished run in a few lines."""
    test = result["test"]
    score = test["log_likelihood"]["model_space"]
    training = "in closed form"
    if result["epochs"]:
        best = result["best_epoch"] + 1
        training = f"{result['epochs']} epochs (best: {best}), {result['seconds']:.1f} s"
    lines = [
        f"{result['model']} on {result['data']}, seed {result['seed']}: "
        f"{result['parameters']:,} trained parameters, {training}",
        f"  test log-likelihood  {_score(score, unit(test))}  "
        f"({score['n']:,} {events(test)}; median {score['median']:.4f}, min {score['min']:.4f})",
    ]
    in_data_units = test["log_likelihood"]["data_space"]
    if in_data_units["mean"] != score["mean"]:
        lines.append(f"  in data units        {_score(in_data_units, unit(test))}")
    if test["bits_per_dim"] is not None:
        lines.append(f"  bits per dimension   {test['bits_per_dim']:.4f}")
    if test["exact"] is not None:
        lines.append(
            f"  exact                {test['exact']:.4f} nats (the true density's expectation)"
        )
    lines += label_lines(test)
    if result.get("steps"):
        lines += step_lines(result["steps"])
    if result["published"] is not None:
        known = result["published"]
        lines.append(
            f"  published            {_score(known)}  ({known['model']}, {known['source']})"
        )
    return "\n".join([*lines, f"  run folder           {folder}"])


def _score(score: dict[str, float], unit: str = "nats") -> str:
    error = score["two_standard_errors"]
    return f"{score['mean']:.4f}" + ("" if error is None else f" ± {error:.4f}") + f" {unit}"


def _commit() -> str | None:
    """The commit of the checkout that runs, with a plus where it has changes."""
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
