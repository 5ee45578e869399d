"""Steps of packed trainings beside as many in turn, and the speed of a network of pixels."""

import argparse
import sys
from collections.abc import Callable
from importlib.metadata import version
from itertools import pairwise
from statistics import median
from typing import Any

import torch
from benchmark_clock import clock_of
from benchmark_table import Row, circumstances, measured, save, show
from benchmark_tasks import our_step, our_trainings
from benchmark_works import WORKS

from flowbench.config.settings import Training
from flowbench.data import Batch
from flowbench.flows import PixelCNN
from flowbench.training.engines.pack import Pack
from flowbench.training.maximum_likelihood import MaximumLikelihood

__all__ = ["packed_steps", "pixels"]

EPOCHS = 3
BATCHES = 100  # an epoch
WARM = 20  # steps before any are timed
PIXELS = {"levels": 17, "shape": [8, 8, 1]}
SMALL: dict[str, Any] = {"units": 32, "inner_units": 16, "blocks": 3, "first_kernel": 5}


def packed_steps(options: argparse.Namespace) -> list[Row]:
    """A step of K trainings of W1, compiled as one program, beside K steps in turn."""
    count = min(map(int, options.batch.split(",")))
    numbers = sorted({1, *map(int, options.runs.split(","))})
    rows, alone = [], _steps_of(1, count, options)
    for runs in numbers:
        found = alone if runs == 1 else _steps_of(runs, count, options)
        in_turn = [runs * one for one in alone]
        row: Row = {"task": "packed_steps", "work": "W1", "runs": runs, "batch": count}
        row |= {"peer": "in turn"} | measured(found, in_turn) | {"engine": "compiled"}
        rows.append(row | circumstances({"torch": version("torch")}, options.device))
        show(rows[-1], runs)
        save(rows, options.json)
    return rows


class _TimedPack(Pack):
    """Notes when a step of all trainings is done."""

    def __init__(self, functions: Any, clock: Callable[[], float]) -> None:
        super().__init__(functions)
        self.clock, self.times = clock, []

    def _answer(self, group: Any) -> None:
        super()._answer(group)
        if len(group) == len(self.members):
            self.times.append(self.clock())


def _steps_of(runs: int, count: int, options: argparse.Namespace) -> list[float]:
    """Seconds of a step of all the trainings, as medians of as many parts as there are repeats."""
    trainings = our_trainings(
        WORKS["W1"], runs, rows=BATCHES * count, batch=count, epochs=EPOCHS, device=options.device
    )
    pack = _TimedPack([(train, sys.stderr) for train in trainings], clock_of(options.device))
    for error in pack.run():
        if error is not None:
            raise error
    if pack.failed:
        raise SystemExit(f"{runs} trainings do not compute their steps as one program; see above")
    steps = [after - before for before, after in pairwise(pack.times)][WARM:]
    size = len(steps) // options.repeats
    return [median(steps[part * size : (part + 1) * size]) for part in range(options.repeats)]


def pixels(options: argparse.Namespace) -> list[Row]:
    """Masked convolutions over 8 × 8 pixels of 17 levels: a step, and samples."""
    device, found = options.device, []
    for count in map(int, options.batch.split(",")):
        torch.manual_seed(0)
        flow = PixelCNN(64, lattice=PIXELS, **SMALL).to(device)
        x = torch.randint(17, (count, 64), device=device) + torch.rand(count, 64, device=device)
        engine = options.engine or "plain"
        module = MaximumLikelihood(flow, Training(weight_decay=0.0, engine=engine))
        step = our_step(module, Batch(x, None))
        tasks = {"pixels_train": step, "pixels_sample": lambda flow=flow, n=count: _drawn(flow, n)}
        for task, call in tasks.items():
            times = _times(call, options)
            row: Row = {"task": task, "work": "pixelcnn", "batch": count, "peer": None}
            row |= measured(times, None) | {"rows_per_second": count / median(times)}
            row |= {"engine": module.engine if task == "pixels_train" else "plain"}
            found.append(row | circumstances({"torch": version("torch")}, device))
            show(found[-1], count)
    return found


def _drawn(flow: PixelCNN, count: int) -> None:
    with torch.no_grad():
        flow.sample((count,))


def _times(call: Callable[[], object], options: argparse.Namespace) -> list[float]:
    clock, times = clock_of(options.device), []
    for _ in range(3):
        call()
    for _ in range(options.repeats):
        start = clock()
        for _ in range(5):
            call()
        times.append((clock() - start) / 5)
    return times
