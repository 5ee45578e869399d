"""Two processes on one training, or on a training each, beside one process alone."""

import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median

import torch
import torch.distributed as dist
from torch import multiprocessing

from flowbench import ranks
from flowbench.config.settings import Training
from flowbench.data import Batch
from flowbench.flows import MAF
from flowbench.training.maximum_likelihood import MaximumLikelihood

__all__ = ["compare"]

FEATURES, ROWS, PROCESSES = 63, 512, 2
WIDTHS = (32, 64, 128, 256, 512, 1024)
SECONDS = 0.5  # of one process, about, per measurement


def compare(*, repeats: int) -> None:
    """Steps and rows per second by width; one thread per process, gloo; ratios are medians."""
    print(f"MAF of 5 layers, {FEATURES} features; {ROWS} rows per step of each training")
    print("            one process, alone   two on one training          two side by side")
    print("     hidden   steps/s    rows/s   steps/s    rows/s  ratio      rows/s  ratio")
    with tempfile.TemporaryDirectory() as folder:
        apart = [_Worker() for _ in range(PROCESSES)]
        together = [_Worker(rank, Path(folder, "group")) for rank in range(PROCESSES)]
        for width in WIDTHS:
            steps = max(3, round(SECONDS / _seconds(apart[:1], width, steps=5)))
            turns = [
                [_seconds(workers, width, steps) for workers in (apart[:1], together, apart)]
                for _ in range(repeats)
            ]
            one, two, both = (median(times) for times in zip(*turns, strict=True))
            shared = median(turn[0] / turn[1] for turn in turns)
            separate = median(PROCESSES * turn[0] / turn[2] for turn in turns)
            print(
                f"{f'{width}×{width}':>11} {1 / one:9.1f} {ROWS / one:9,.0f} {1 / two:9.1f} "
                f"{ROWS / two:9,.0f} {shared:5.2f}× {PROCESSES * ROWS / both:11,.0f} "
                f"{separate:5.2f}×",
                flush=True,
            )
        for worker in apart + together:
            worker.process.terminate()


class _Worker:
    """A process that trains a flow of the width it is told, for so many steps."""

    def __init__(self, rank: int = 0, group: Path | None = None) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, other = context.Pipe()
        self.process = context.Process(target=_work, args=(other, rank, group), daemon=True)
        self.process.start()


def _seconds(workers: list[_Worker], width: int, steps: int) -> float:
    """Of a step, while all the workers take them; the slowest counts."""
    for worker in workers:
        worker.pipe.send((width, steps))
    return max(worker.pipe.recv() for worker in workers)


def _work(pipe: Connection, rank: int, group: Path | None) -> None:
    torch.set_num_threads(1)
    if group is not None:
        dist.init_process_group("gloo", f"file://{group}", rank=rank, world_size=PROCESSES)
    torch.manual_seed(0)
    share = torch.randn(ROWS, FEATURES).tensor_split(ranks.size())[ranks.rank()]
    while True:
        width, steps = pipe.recv()
        module = MaximumLikelihood(_flow(width), Training(engine="plain"))
        optimizer = module.configure_optimizers()
        module.arithmetic.begin()
        module._optimise(optimizer, Batch(share, None))
        start = time.perf_counter()
        for _ in range(steps):
            module._optimise(optimizer, Batch(share, None))
        pipe.send((time.perf_counter() - start) / steps)


def _flow(width: int) -> MAF:
    return MAF(FEATURES, hidden_units=(width, width), batch_norm=False)
