"""Speed beside a peer, as ratios of interleaved repeats in one process on one thread.

    python scripts/benchmark.py train --work W1,W2,W4 --batch 100,1024 --peers zuko --json FILE
    python scripts/benchmark.py fit --work W1 --batch 100 --peers zuko
    python scripts/benchmark.py sampling                 # MAF: flowbench against its peers
    python scripts/benchmark.py growth                   # how sampling time grows with features
    python scripts/benchmark.py step                     # one optimiser step
    python scripts/benchmark.py loader                   # rows per second against a DataLoader
    python scripts/benchmark.py training --data FILE     # same wall time, same split: nats reached
    python scripts/benchmark.py devices                  # two processes beside one, by width

The peers are zuko, nflows and normflows (`pip install -e ".[peers]"`), and TensorFlow Probability
where it is installed. Times vary with the machine and its load; the ratios, medians over the
repeats, much less.
"""

import argparse
import math
import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

import torch
from benchmark_peers import samplers, zuko_maf
from benchmark_train import add_options, fit, train
from torch import Tensor, nn

from flowbench.data import BatchLoader, Rows
from flowbench.flows import MAF

Task = Callable[[], object]


def main() -> None:
    """Run one benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("benchmark", choices=sorted(BENCHMARKS))
    parser.add_argument("--repeats", type=int, default=5, help="interleaved repeats (default 5)")
    parser.add_argument("--data", help="training: an .npz in the format of POWER")
    parser.add_argument("--seconds", type=float, default=300, help="training: wall time of each")
    add_options(parser)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    BENCHMARKS[options.benchmark](options)


@torch.no_grad()
def sampling(options: argparse.Namespace) -> None:
    """Samples from a MAF of five layers, features × samples × hidden units as in the table."""
    print(f"{'features':>8} {'samples':>8} {'hidden':>10}  {'flowbench':>10}  peers (time, ratio)")
    for features, samples, hidden in (
        (8, 10_000, (100, 100)),
        (63, 1000, (512, 512)),
        (784, 100, (1024,)),
    ):
        flow = MAF(features, hidden_units=hidden, batch_norm=False).eval()
        tasks: dict[str, Task] = {"flowbench": lambda flow=flow, n=samples: flow.sample((n,))}
        tasks |= samplers(features, samples, hidden)
        times = interleaved(tasks, repeats=options.repeats)
        hidden_text = "×".join(map(str, hidden))
        print(f"{features:8} {samples:8} {hidden_text:>10}  {_versus(times)}", flush=True)


@torch.no_grad()
def growth(options: argparse.Namespace) -> None:
    """Exponent p of time ~ features^p for 100 samples, one layer of 512 hidden units."""
    sizes = (16, 32, 64, 128, 256, 512, 1024)
    columns: dict[str, list[float]] = {}
    for features in sizes:
        flow = MAF(features, layers=1, hidden_units=(512,), batch_norm=False).eval()
        tasks: dict[str, Task] = {"flowbench": lambda flow=flow: flow.sample((100,))}
        tasks |= samplers(features, 100, (512,), layers=1)
        for name, times in interleaved(tasks, repeats=options.repeats).items():
            columns.setdefault(name, []).append(median(times))
    for name, times in columns.items():
        shown = ", ".join(f"{n}: {1e3 * t:.1f} ms" for n, t in zip(sizes, times, strict=True))
        print(f"{name:10} exponent {_exponent(sizes, times):.2f}  ({shown})")


def step(options: argparse.Namespace) -> None:
    """One optimiser step (log-likelihood, gradients, Adam) of a MAF with hidden layers 100-100."""
    for features, layers, rows, activation in (
        (6, 5, 512, "relu"),
        (8, 10, 256, "tanh"),
        (63, 5, 100, "relu"),
    ):
        x = torch.randn(rows, features)
        flow = MAF(features, layers=layers, activation=activation, batch_norm=False)
        tasks = {"flowbench": _stepper(flow, flow, x)}
        peer = zuko_maf(features, (100, 100), layers=layers, activation=activation)
        if peer is not None:
            tasks["zuko"] = _stepper(peer, lambda x, peer=peer: peer().log_prob(x), x)
        times = interleaved(tasks, repeats=max(options.repeats, 20), calls=10)
        print(
            f"features {features:3} layers {layers:2} rows {rows:3} {activation:5}",
            _versus(times),
            flush=True,
        )


def loader(options: argparse.Namespace) -> None:
    """Minibatches of 100 rows from 100,000 rows of 8 features."""
    from torch.utils.data import DataLoader, TensorDataset

    x = torch.randn(100_000, 8)
    ours = BatchLoader(Rows(x, None, torch.tensor(0.0)), batch_size=100, seed=0)
    theirs = DataLoader(TensorDataset(x), batch_size=100, shuffle=True)
    tasks: dict[str, Task] = {
        "flowbench": lambda: sum(len(batch.x) for item in ours for batch in item),
        "DataLoader": lambda: sum(len(rows) for (rows,) in theirs),
    }
    times = interleaved(tasks, repeats=options.repeats)
    print(f"{len(x) / median(times['flowbench']) / 1e6:.1f} M rows/s  {_versus(times)}")


def training(options: argparse.Namespace) -> None:
    """POWER, MAF 5 × 100-100, relu, Adam 1e-3, batch 512, gradient norm 5: equal wall time."""
    from flowbench.data import Power

    data = Power(path=options.data, batch_size=512)
    data.prepare_data()
    data.setup()
    flow = MAF(data.features, batch_norm=False)
    rivals: dict[str, tuple[nn.Module, Callable[[Tensor], Tensor]]] = {"flowbench": (flow, flow)}
    peer = zuko_maf(data.features, (100, 100), layers=5, activation="relu")
    if peer is not None:
        rivals["zuko"] = (peer, lambda x: peer().log_prob(x))
    for name, (score, steps) in _train_in_turns(rivals, data, options.seconds).items():
        print(
            f"{name:10} {score:.4f} nats on {len(data.rows['test'])} test rows after {steps} steps"
        )


def devices(options: argparse.Namespace) -> None:
    """Two processes on one training, and on a training each."""
    from benchmark_devices import compare

    compare(repeats=options.repeats)


def _train_in_turns(
    rivals: dict[str, tuple[nn.Module, Callable[[Tensor], Tensor]]], data: Any, seconds: float
) -> dict[str, tuple[float, int]]:
    """Give each rival the same wall time, in turns of five seconds, and score the test rows."""
    turns = {name: _turns(module, log_prob, data) for name, (module, log_prob) in rivals.items()}
    steps = dict.fromkeys(rivals, 0)
    for _ in range(math.ceil(seconds / 5)):
        for name, turn in turns.items():
            steps[name] += turn(5.0)
    scores = {}
    for name, (module, log_prob) in rivals.items():
        module.eval()
        with torch.no_grad():
            parts = [log_prob(part).double() for part in data.rows["test"].x.split(8192)]
        scores[name] = (torch.cat(parts).mean().item(), steps[name])
    return scores


def _turns(
    module: nn.Module, log_prob: Callable[[Tensor], Tensor], data: Any
) -> Callable[[float], int]:
    """A function that trains for so many seconds and returns the steps taken."""
    optimizer = torch.optim.Adam(module.parameters(), lr=1e-3, fused=True)
    batches = _endless(data.train_dataloader())

    def turn(seconds: float) -> int:
        steps, end = 0, time.perf_counter() + seconds
        while time.perf_counter() < end:
            optimizer.zero_grad()
            (-log_prob(next(batches)).mean()).backward()
            nn.utils.clip_grad_norm_(module.parameters(), 5.0)
            optimizer.step()
            steps += 1
        return steps

    return turn


def _endless(loader: BatchLoader) -> Any:
    while True:
        for item in loader:
            for batch in item:
                yield batch.x


def _stepper(module: nn.Module, log_prob: Callable[[Tensor], Tensor], x: Tensor) -> Task:
    optimizer = torch.optim.Adam(module.parameters(), lr=1e-4, fused=True)

    def task() -> None:
        optimizer.zero_grad()
        (-log_prob(x).mean()).backward()
        optimizer.step()

    return task


def interleaved(tasks: dict[str, Task], *, repeats: int, calls: int = 1) -> dict[str, list[float]]:
    """Seconds per call of every task, in turns A B C A B C …, after one call of each."""
    times: dict[str, list[float]] = {name: [] for name in tasks}
    for task in tasks.values():
        task()
    for _ in range(repeats):
        for name, task in tasks.items():
            start = time.perf_counter()
            for _ in range(calls):
                task()
            times[name].append((time.perf_counter() - start) / calls)
    return times


def _versus(times: dict[str, list[float]]) -> str:
    ours = times["flowbench"]
    parts = [f"{1e3 * median(ours):9.2f} ms"]
    for name, theirs in times.items():
        if name != "flowbench":
            ratio = median(b / a for a, b in zip(ours, theirs, strict=True))
            parts.append(f"{name} {1e3 * median(theirs):.2f} ms, {ratio:.2f}×")
    return "  ".join(parts)


def _exponent(sizes: Sequence[int], times: Sequence[float]) -> float:
    """Slope of log time against log size, by least squares."""
    xs, ys = [math.log(s) for s in sizes], [math.log(t) for t in times]
    x, y = sum(xs) / len(xs), sum(ys) / len(ys)
    covariance = sum((a - x) * (b - y) for a, b in zip(xs, ys, strict=True))
    return covariance / sum((a - x) ** 2 for a in xs)


BENCHMARKS: dict[str, Callable[[argparse.Namespace], None]] = {
    "sampling": sampling,
    "growth": growth,
    "step": step,
    "loader": loader,
    "training": training,
    "devices": devices,
    "train": train,
    "fit": fit,
}

if __name__ == "__main__":
    main()
