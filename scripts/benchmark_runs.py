"""What has no peer of its own kind: loading batches, starting up, and packed runs."""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy
from benchmark_table import Row, circumstances, measured, show
from benchmark_works import WORKS
from benchmark_works import rows as events

__all__ = ["loader", "packed", "startup"]

ROOT = Path(__file__).parents[1]
RUNS = 8
ROWS = 10_000  # of each training
TRAINING = ["model=maf", "model.batch_norm=false", "data=table", "trainer=cpu", "logger=csv"]
TRAINING += ["trainer.max_epochs=3"]


def loader(options: argparse.Namespace) -> list[Row]:
    """Batches of 100 rows from 100,000 rows of 8 features, beside a DataLoader."""
    import torch
    from torch.utils.data import DataLoader, TensorDataset

    from flowbench.data import BatchLoader, Rows

    x = torch.randn(100_000, 8)
    ours = BatchLoader(Rows(x, None, torch.tensor(0.0)), batch_size=100, seed=0)
    theirs = DataLoader(TensorDataset(x), batch_size=100, shuffle=True)
    return _row(
        "loader",
        "loader",
        len(x),
        "DataLoader",
        lambda: _cpu(lambda: [batch for item in ours for batch in item]),
        lambda: _cpu(lambda: [*theirs]),
        options.repeats,
    )


def startup(options: argparse.Namespace) -> list[Row]:
    """Importing the package, and the help of train.py, beside importing PyTorch."""
    rows = []
    for name, command in (
        ("import", ["-c", "import flowbench"]),
        ("help", ["train.py", "--help"]),
    ):
        ours = lambda command=command: _cpu_of(command)  # noqa: E731
        theirs = lambda: _cpu_of(["-c", "import torch"])  # noqa: E731
        rows += _row(name, name, 1, "torch", ours, theirs, options.repeats)
    return rows


def packed(options: argparse.Namespace) -> list[Row]:
    """Runs of one sweep in one process, beside as many processes; with and without figures."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "rows.npy")
        numpy.save(path, events(WORKS["W1"], ROWS)[0])
        for name, figures in (("W1", "false"), ("W1 with figures", "true")):
            words = [*TRAINING, f"data.path={path}", f"figures={figures}"]

            def run(*more: str, words: list[str] = words) -> float:
                with tempfile.TemporaryDirectory() as output:
                    return _cpu_of(["train.py", *more, *words, f"paths.output={output}"])

            def together(run: Any = run) -> float:
                return run("-m", "hydra/launcher=packed", f"seed=range({RUNS})")

            def apart(run: Any = run) -> float:
                return sum(run(f"seed={seed}") for seed in range(RUNS))

            rows += _row(
                "packed", name, RUNS, f"{RUNS} processes", together, apart, options.repeats
            )
    return rows


def _row(
    task: str,
    work: str,
    count: int,
    peer: str,
    ours: Callable[[], float],
    theirs: Callable[[], float],
    repeats: int,
) -> list[Row]:
    """The row of two tasks, each of which tells its CPU seconds, in turns."""
    pairs = [(ours(), theirs()) for _ in range(repeats)]
    mine, other = ([*part] for part in zip(*pairs, strict=True))
    row = {"task": task, "work": work, "rows": count, "peer": peer} | measured(mine, other)
    row |= circumstances({"torch": version("torch")})
    show(row, count)
    return [row]


def _cpu(task: Callable[[], object]) -> float:
    start = time.process_time()
    task()
    return time.process_time() - start


def _cpu_of(command: list[str]) -> float:
    """CPU seconds of a Python process at the root of the repository."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    result = subprocess.run(
        [sys.executable, *command], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    if result.returncode:
        raise SystemExit(f"{' '.join(command)} failed: {(result.stderr or result.stdout)[-1000:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
