"""One optimiser step of the workloads of the table, beside peers.

Log-likelihood, gradients and a step of Adam, float32, on one thread.
"""

import argparse
import json
import os
import platform
import re
import time
from collections.abc import Callable
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from statistics import median, quantiles
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from flowbench.flows import MAF, Flow, RealNVP

__all__ = ["add_options", "train"]

Step = Callable[[], object]
TURN = 0.1  # seconds of CPU time that a turn takes, about


class Work(NamedTuple):
    """A flow of five layers and the size of its events."""

    kind: str
    features: int
    hidden: tuple[int, ...]
    context: int = 0
    batch_norm: bool = False


WORKS = {
    "W1": Work("maf", 8, (100, 100)),
    "W2": Work("maf", 63, (512, 512)),
    "W3": Work("maf", 784, (1024,)),
    "W4": Work("realnvp", 8, (100, 100)),
    "W5": Work("spline", 8, (100, 100)),
    "W6": Work("maf", 8, (100, 100), context=16),
    "W7": Work("maf", 8, (100, 100), batch_norm=True),
}


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of `train`."""
    listed = "separated by commas"
    parser.add_argument("--work", default="W1,W2,W4", help=f"train: {', '.join(WORKS)}, {listed}")
    parser.add_argument("--batch", default="100,1024", help=f"train: batch sizes, {listed}")
    parser.add_argument("--peers", default="zuko", help="train: zuko, or '' for none")
    parser.add_argument("--json", type=Path, help="train: a file for the rows of the table")


def train(options: argparse.Namespace) -> None:
    """CPU time per step, in turns: medians, and the quartiles of the ratio over turns."""
    works = _known(options.work, WORKS, "--work")
    peers = _known(options.peers, PEERS, "--peers")
    if not re.fullmatch(r"[1-9]\d*(,[1-9]\d*)*", options.batch):
        raise SystemExit(f"--batch={options.batch}: expected sizes from 1, such as 100,1024")
    for peer in peers:
        if not find_spec(peer):
            raise SystemExit(f'{peer} is not installed; pip install -e ".[peers]" brings it')
    print("work  batch   peer   peer ms   ours ms  ratio  quartiles")
    rows = []
    for name in works:
        for batch in map(int, options.batch.split(",")):
            rows += _measure(name, batch, peers, repeats=max(options.repeats, 2))
            if options.json:
                options.json.write_text(json.dumps(rows, indent=1) + "\n")


def _known(given: str, known: Any, option: str) -> list[str]:
    names = [name for name in given.split(",") if name]
    for name in names:
        if name not in known:
            raise SystemExit(f"{option}={given}: {name} is unknown; expected {', '.join(known)}")
    return names


def _measure(name: str, batch: int, peers: list[str], *, repeats: int) -> list[dict[str, Any]]:
    """The rows of a workload; one without a peer where none has it."""
    work = WORKS[name]
    x = torch.randn(batch, work.features)
    context = torch.randn(batch, work.context) if work.context else None
    steps = {"flowbench": _own_step(work, x, context)}
    for peer in peers:
        built = PEERS[peer](work, x, context)
        if built is not None:
            steps[peer] = built
    times = _cpu_times(steps, repeats)
    ours = times.pop("flowbench")
    fixed = {"device": _device(), "threads": torch.get_num_threads(), "versions": _versions(peers)}
    rows = []
    for peer, theirs in (times or {None: []}).items():
        row = {"work": name, "batch": batch, "peer": peer, "ours_ms": 1e3 * median(ours)}
        row |= {"peer_ms": None, "ratio": None, "ratio_quartiles": None}
        if peer:
            ratios = [their / our for their, our in zip(theirs, ours, strict=True)]
            low, middle, high = quantiles(ratios, n=4, method="inclusive")
            row |= {"peer_ms": 1e3 * median(theirs), "ratio": middle}
            row["ratio_quartiles"] = [low, high]
        _print(row)
        rows.append(row | {"ours_quartiles_ms": _quartiles(ours), "repeats": repeats} | fixed)
    return rows


def _print(row: dict[str, Any]) -> None:
    start = f"{row['work']:4} {row['batch']:6} {row['peer'] or '–':>6}"
    if row["peer"] is None:
        print(f"{start} {'–':>9} {row['ours_ms']:9.2f}", flush=True)
        return
    low, high = row["ratio_quartiles"]
    print(
        f"{start} {row['peer_ms']:9.2f} {row['ours_ms']:9.2f} {row['ratio']:6.2f}"
        f"  {low:.2f}–{high:.2f}",
        flush=True,
    )


def _quartiles(seconds: list[float]) -> list[float]:
    low, _, high = quantiles(seconds, n=4, method="inclusive")
    return [1e3 * low, 1e3 * high]


def _cpu_times(steps: dict[str, Step], repeats: int) -> dict[str, list[float]]:
    """CPU seconds per step of each, in turns A B C A B C …, after a few steps of each."""
    calls = {}
    for name, step in steps.items():
        for _ in range(3):
            step()
        calls[name] = max(1, round(TURN / _seconds(step, 3)))
    times: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(repeats):
        for name, step in steps.items():
            times[name].append(_seconds(step, calls[name]))
    return times


def _seconds(step: Step, calls: int) -> float:
    start = time.process_time()
    for _ in range(calls):
        step()
    return (time.process_time() - start) / calls


def _own_step(work: Work, x: Tensor, context: Tensor | None) -> Step:
    flow = _own_flow(work)
    return _step(flow, lambda: flow(x, context))


def _own_flow(work: Work) -> Flow:
    sizes: dict[str, Any] = {"hidden_units": work.hidden, "batch_norm": work.batch_norm}
    if work.kind == "realnvp":
        return RealNVP(work.features, layers=5, **sizes)
    univariate = "spline" if work.kind == "spline" else "affine"
    return MAF(work.features, context_features=work.context, univariate=univariate, **sizes)


def _zuko_step(work: Work, x: Tensor, context: Tensor | None) -> Step | None:
    """The same flow in zuko, which has no batch norm."""
    if work.batch_norm:
        return None
    import zuko  # pyright: ignore[reportMissingImports]

    kinds = {"maf": zuko.flows.MAF, "realnvp": zuko.flows.RealNVP, "spline": zuko.flows.NSF}
    flow = kinds[work.kind](work.features, work.context, transforms=5, hidden_features=work.hidden)
    return _step(flow, lambda: flow(context).log_prob(x))


def _step(module: nn.Module, log_prob: Callable[[], Tensor]) -> Step:
    optimizer = torch.optim.Adam(module.parameters(), lr=1e-4, fused=True)

    def step() -> None:
        optimizer.zero_grad()
        (-log_prob().mean()).backward()
        optimizer.step()

    return step


def _device() -> str:
    """The processor's name, where the system tells it."""
    information = Path("/proc/cpuinfo")
    found = information.exists() and re.search(r"model name\s*:\s*(.*)", information.read_text())
    return f"{found[1] if found else platform.machine()}, {os.cpu_count()} CPUs"


def _versions(peers: list[str]) -> dict[str, str]:
    names = ["flowbench", "torch", *peers]
    return {"python": platform.python_version()} | {name: version(name) for name in names}


PEERS: dict[str, Callable[[Work, Tensor, Tensor | None], Step | None]] = {"zuko": _zuko_step}
