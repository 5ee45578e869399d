"""Training beside peers: one optimiser step, or a whole `fit`, in processes that take turns."""

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import venv
from importlib.util import find_spec
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from benchmark_works import WORKS

__all__ = ["add_options", "fit", "train"]

TURN = 0.2  # seconds of CPU time that a turn takes, at least
WARM = 3  # calls before any are timed
# What is installed for a peer: beside the torch of here, or in an environment of its own.
BESIDE = {"zuko": ["zuko"], "nflows": ["nflows", "UMNN"], "normflows": ["normflows"]}
APART = {
    "flowjax": ["flowjax", "optax"],
    "tfp": ["tensorflow-cpu", "tf_keras", "tensorflow-probability"],
}
PEERS = [*BESIDE, *APART]
MODULES = {"tfp": "tensorflow_probability"}


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of `train` and `fit`."""
    listed = "separated by commas"
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    parser.add_argument(
        "--work", default="W1,W2,W4", help=f"train, fit: {', '.join(WORKS)}, {listed}"
    )
    parser.add_argument("--batch", default="100,1024", help=f"train, fit: batch sizes, {listed}")
    parser.add_argument(
        "--peers", default="zuko", help=f"train, fit: {', '.join(PEERS)}, or '' for none"
    )
    parser.add_argument("--json", type=Path, help="train, fit: a file for the rows of the table")
    parser.add_argument(
        "--environments",
        type=Path,
        default=home / "flowbench" / "peers",
        help="train, fit: folder of the peers' environments, which are made if missing",
    )


def train(options: argparse.Namespace) -> None:
    """CPU time per optimiser step."""
    _compare("train", options)


def fit(options: argparse.Namespace) -> None:
    """CPU time of a training of five epochs on 90 batches, with 10 more held out."""
    options.peers = ",".join(peer for peer in options.peers.split(",") if peer == "zuko")
    _compare("fit", options)


def _compare(kind: str, options: argparse.Namespace) -> None:
    works = _known(options.work, WORKS, "--work")
    peers = _known(options.peers, PEERS, "--peers")
    if not re.fullmatch(r"[1-9]\d*(,[1-9]\d*)*", options.batch):
        raise SystemExit(f"--batch={options.batch}: expected sizes from 1, such as 100,1024")
    libraries = ["flowbench", *(["floor"] if kind == "train" else []), *peers]
    workers = {name: _worker(name, options.environments) for name in libraries}
    print("work  batch       peer    peer ms    ours ms  ratio  quartiles    floor  engine")
    rows = []
    for work in works:
        for batch in map(int, options.batch.split(",")):
            rows += _rows(kind, work, batch, workers, repeats=max(options.repeats, 2))
            if options.json:
                options.json.write_text(json.dumps(rows, indent=1) + "\n")


def _known(given: str, known: Any, option: str) -> list[str]:
    names = [name for name in given.split(",") if name]
    for name in names:
        if name not in known:
            raise SystemExit(f"{option}={given}: {name} is unknown; expected {', '.join(known)}")
    return names


def _worker(library: str, environments: Path) -> "Worker":
    """The process of a library, which is installed where it is missing."""
    if library not in PEERS or find_spec(MODULES.get(library, library)):
        return Worker(sys.executable)
    folder = environments / library
    if library in BESIDE:
        if not folder.exists():
            _install(library, folder, sys.executable, "--no-deps", "--target", str(folder))
        return Worker(sys.executable, PYTHONPATH=str(folder))
    python = str(folder / "bin" / "python")
    if not folder.exists():
        venv.create(folder, with_pip=True)
        _install(library, folder, python)
    return Worker(python)


def _install(library: str, folder: Path, python: str, *options: str) -> None:
    print(f"installing {library} in {folder}", file=sys.stderr)
    wanted = (BESIDE | APART)[library]
    command = [python, "-m", "pip", "install", "-q", *options, *wanted]
    if subprocess.run(command, check=False).returncode:
        shutil.rmtree(folder, ignore_errors=True)
        raise SystemExit(f"{library} cannot be installed in {folder}; see above")


class Worker:
    """A process that times the tasks of one library.

    Args:
        python: its interpreter.
        environment: further variables of its environment.
    """

    def __init__(self, python: str, **environment: str) -> None:
        self.process = subprocess.Popen(
            [python, str(Path(__file__).with_name("benchmark_worker.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **environment},
        )

    def ask(self, **question: Any) -> Any:
        """Its answer to a question."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise SystemExit("a process of the benchmark has failed; see above")
        return json.loads(answer)


def _rows(
    kind: str, work: str, batch: int, workers: dict[str, Worker], *, repeats: int
) -> list[dict[str, Any]]:
    """The rows of a workload; one without a peer where none has it."""
    made = {name: worker.ask(make=[name, kind, work, batch]) for name, worker in workers.items()}
    able = {name: worker for name, worker in workers.items() if made[name]["can"]}
    times = _cpu_times(able, repeats, warm=WARM if kind == "train" else 1)
    ours, floor = times.pop("flowbench"), times.pop("floor", None)
    share = floor and median(f / our for f, our in zip(floor, ours, strict=True))
    fixed = {"task": kind, "work": work, "batch": batch, "share_of_floor": share}
    fixed |= {"engine": made["flowbench"]["engine"], "device": _device(), "threads": 1}
    rows = []
    for peer, theirs in (times or {None: None}).items():
        versions = {"python": platform.python_version()} | made["flowbench"]["versions"]
        row: dict[str, Any] = {"peer": peer, "ours_ms": 1e3 * median(ours), "peer_ms": None}
        row |= {"ratio": None, "ratio_quartiles": None, "ours_quartiles_ms": _quartiles(ours)}
        if peer and theirs:
            ratios = [their / our for their, our in zip(theirs, ours, strict=True)]
            low, middle, high = quantiles(ratios, n=4, method="inclusive")
            row |= {"peer_ms": 1e3 * median(theirs), "ratio": middle}
            row["ratio_quartiles"] = [low, high]
            versions |= made[peer]["versions"]
        rows.append(fixed | row | {"versions": versions, "repeats": repeats})
        _print(rows[-1])
    return rows


def _cpu_times(workers: dict[str, Worker], repeats: int, *, warm: int) -> dict[str, list[float]]:
    """CPU seconds per call of each, in turns A B C A B C …, after a few calls of each."""
    calls = {}
    for name, worker in workers.items():
        worker.ask(calls=warm)
        calls[name] = max(1, round(TURN / worker.ask(calls=1)))
    times: dict[str, list[float]] = {name: [] for name in workers}
    for _ in range(repeats):
        for name, worker in workers.items():
            times[name].append(worker.ask(calls=calls[name]))
    return times


def _print(row: dict[str, Any]) -> None:
    peer, ratio, spread = "–", "–", "–"
    if row["peer"]:
        low, high = row["ratio_quartiles"]
        peer, ratio, spread = (
            f"{row['peer_ms']:.2f}",
            f"{row['ratio']:.2f}",
            f"{low:.2f}–{high:.2f}",
        )
    share = "–" if row["share_of_floor"] is None else f"{row['share_of_floor']:.2f}"
    print(
        f"{row['work']:4} {row['batch']:6} {row['peer'] or '–':>10} {peer:>10} "
        f"{row['ours_ms']:10.2f} {ratio:>6}  {spread:11} {share:>6}  {row['engine']}",
        flush=True,
    )


def _quartiles(seconds: list[float]) -> list[float]:
    low, _, high = quantiles(seconds, n=4, method="inclusive")
    return [1e3 * low, 1e3 * high]


def _device() -> str:
    """The processor's name, where the system tells it."""
    information = Path("/proc/cpuinfo")
    found = information.exists() and re.search(r"model name\s*:\s*(.*)", information.read_text())
    return f"{found[1] if found else platform.machine()}, {os.cpu_count()} CPUs"
