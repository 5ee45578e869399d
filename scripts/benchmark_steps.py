"""Steps of packed trainings beside as many in turn, and the speed of a network of pixels."""

import argparse
import sys
from importlib.metadata import version
from statistics import median

import torch
from benchmark_clock import clock_of
from benchmark_table import Row, circumstances, measured, show
from benchmark_tasks import our_step, our_trainings
from benchmark_works import WORKS

from flowbench.config.settings import Training
from flowbench.data import Batch
from flowbench.flows import PixelCNN
from flowbench.training.engines.pack import Pack
from flowbench.training.maximum_likelihood import MaximumLikelihood

__all__ = ["packed_steps", "pixels"]

EPOCHS = (2, 12)  # of a short and a long training: the difference has no fixed costs
BATCHES = 100  # an epoch
PIXELS = {"levels": 17, "shape": [8, 8, 1]}
SMALL = {"units": 32, "inner_units": 16, "blocks": 3, "first_kernel": 5}


def packed_steps(options: argparse.Namespace) -> list[Row]:
    """A step of K trainings of W1, compiled as one program, beside K steps in turn."""
    count = min(map(int, options.batch.split(",")))
    numbers = sorted({1, *map(int, options.runs.split(","))})
    seconds: dict[int, list[float]] = {}
    for runs in numbers:
        seconds[runs] = [_step_of(runs, count, options) for _ in range(options.repeats)]
    rows = []
    for runs in numbers:
        in_turn = [runs * alone for alone in seconds[1]]
        row: Row = {"task": "packed_steps", "work": "W1", "runs": runs, "batch": count}
        row |= {"peer": "in turn"} | measured(seconds[runs], in_turn) | {"engine": "compiled"}
        rows.append(row | circumstances({"torch": version("torch")}, options.device))
        show(rows[-1], runs)
    return rows


def _step_of(runs: int, count: int, options: argparse.Namespace) -> float:
    """Seconds of a step of all the trainings, fixed costs aside."""
    clock, spent = clock_of(options.device), []
    for epochs in EPOCHS:
        trainings = our_trainings(
            WORKS["W1"], runs, rows=BATCHES * count, batch=count, epochs=epochs,
            device=options.device,
        )  # fmt: skip
        start = clock()
        for error in Pack([(training, sys.stderr) for training in trainings]).run():
            if error is not None:
                raise error
        spent.append(clock() - start)
    return max(spent[1] - spent[0], 1e-9) / (BATCHES * (EPOCHS[1] - EPOCHS[0]))


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


def _times(call, options: argparse.Namespace) -> list[float]:
    clock, times = clock_of(options.device), []
    for _ in range(3):
        call()
    for _ in range(options.repeats):
        start = clock()
        for _ in range(5):
            call()
        times.append((clock() - start) / 5)
    return times
