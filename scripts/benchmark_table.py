"""Tasks beside those of peers, in processes that take turns."""

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

from benchmark_clock import name_of
from benchmark_wanted import PEERS
from benchmark_works import WORKS

__all__ = ["HEAD", "Row", "add_options", "circumstances", "compare", "measured", "save", "show"]

Row = dict[str, Any]
HEAD = "work   size       peer    peer ms    ours ms  ratio  quartiles    floor  engine"

TURN = 0.2  # seconds that a turn takes, at least
WARM = 3  # calls before any are timed
# What is installed for a peer: beside the torch of here, or in an environment of its own.
BESIDE = {"zuko": ["zuko"], "nflows": ["nflows", "UMNN"], "normflows": ["normflows"]}
APART = {
    "flowjax": ["flowjax", "optax"],
    "tfp": ["tensorflow-cpu", "tf_keras", "tensorflow-probability"],
}
MODULES = {"tfp": "tensorflow_probability"}


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of `compare`."""
    listed = "separated by commas"
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    parser.add_argument("--work", default="W1,W2,W4", help=f"{', '.join(WORKS)}, {listed}")
    parser.add_argument("--batch", default="100,1024", help=f"train, fit: batch sizes, {listed}")
    parser.add_argument("--rows", default="8192", help=f"log_prob, sample: numbers, {listed}")
    parser.add_argument("--runs", default="1,4,16,64", help="packed_steps: trainings at a time")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu", help="what computes")
    parser.add_argument("--engine", default="", help="of our training (default: the fastest)")
    parser.add_argument("--peers", default="zuko", help=f"{', '.join(PEERS)}, or '' for none")
    parser.add_argument(
        "--environments",
        type=Path,
        default=home / "flowbench" / "peers",
        help="folder of the peers' environments, which are made if missing",
    )


def compare(kind: str, options: argparse.Namespace) -> list[Row]:
    """The rows of the table for the tasks of a kind, each with every peer."""
    works = _known(options.work, WORKS, "--work")
    peers = _known(options.peers, PEERS, "--peers")
    if options.device != "cpu" and (kind == "fit" or {*peers} - {"zuko", "nflows"}):
        raise SystemExit(
            "--device=cuda: expected train, log_prob or sample, peers zuko and nflows"
        )
    name = "batch" if kind in ("train", "fit") else "rows"
    if not re.fullmatch(r"[1-9]\d*(,[1-9]\d*)*", given := getattr(options, name)):
        raise SystemExit(f"--{name}={given}: expected numbers from 1, such as 100,1024")
    if kind == "fit":
        peers = [peer for peer in peers if peer == "zuko"]
    libraries = ["flowbench", *([] if kind == "fit" else ["floor"]), *peers]
    workers = {library: _worker(library, options.environments) for library in libraries}
    sizes = [(work, count) for work in works for count in map(int, given.split(","))]
    found = []
    for work, count in sizes:
        found += _rows(kind, work, name, count, workers, options)
        save(found, options.json)
    return found


def save(rows: list[Row], path: Path | None) -> None:
    """Write the rows to a JSON file, if one is wanted; it is whole at any time."""
    if path:
        part = path.with_suffix(".part")
        part.write_text(json.dumps(rows, indent=1) + "\n")
        part.replace(path)


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
    kind: str,
    work: str,
    name: str,
    count: int,
    workers: dict[str, Worker],
    options: argparse.Namespace,
) -> list[Row]:
    """The rows of a workload; one without a peer where none has it."""
    made = {
        library: worker.ask(make=[library, kind, work, count, options.device, options.engine])
        for library, worker in workers.items()
    }
    able = {library: worker for library, worker in workers.items() if made[library]["can"]}
    times = _times(able, options.repeats, warm=1 if kind == "fit" else WARM)
    ours, floor = times.pop("flowbench"), times.pop("floor", None)
    share = floor and median(f / our for f, our in zip(floor, ours, strict=True))
    rows = []
    for peer, theirs in (times or {None: None}).items():
        versions = made["flowbench"]["versions"] | (made[peer]["versions"] if peer else {})
        fixed = {"task": kind, "work": work, name: count, "peer": peer}
        rows.append(fixed | measured(ours, theirs) | {"share_of_floor": share})
        rows[-1] |= {"engine": made["flowbench"]["engine"]} | circumstances(
            versions, options.device
        )
        show(rows[-1], count)
    return rows


def _times(workers: dict[str, Worker], repeats: int, *, warm: int) -> dict[str, list[float]]:
    """Seconds per call of each, in turns A B C A B C …, after a few calls of each.

    The first call compiles; tasks of a second or more have only one further before they are timed.
    """
    calls = {}
    for name, worker in workers.items():
        worker.ask(calls=1)
        once = worker.ask(calls=1)
        if once < 1 and warm > 1:
            worker.ask(calls=warm - 1)
            once = worker.ask(calls=1)
        calls[name] = max(1, round(TURN / once))
    times: dict[str, list[float]] = {name: [] for name in workers}
    for _ in range(repeats):
        for name, worker in workers.items():
            times[name].append(worker.ask(calls=calls[name]))
    return times


def measured(ours: list[float], theirs: list[float] | None) -> Row:
    """Medians and quartiles of seconds, and of the ratios of those measured in turn."""
    row: Row = {"peer_ms": None, "ours_ms": 1e3 * median(ours), "ratio": None}
    row |= {"ours_quartiles_ms": [1e3 * part for part in _quartiles(ours)]}
    row |= {"ratio_quartiles": None, "repeats": len(ours)}
    if theirs:
        ratios = [their / our for their, our in zip(theirs, ours, strict=True)]
        row |= {"peer_ms": 1e3 * median(theirs), "ratio": median(ratios)}
        row |= {"ratio_quartiles": _quartiles(ratios)}
    return row


def circumstances(versions: dict[str, str], device: str = "cpu") -> Row:
    """Where a row was measured."""
    versions = {"python": platform.python_version()} | versions
    return {"device": name_of(device), "threads": 1, "versions": versions}


def show(row: Row, count: int) -> None:
    """Print a row of the table."""
    peer, ratio, spread = "–", "–", "–"
    if row["ratio"] is not None:
        low, high = row["ratio_quartiles"]
        peer, ratio = f"{row['peer_ms']:.2f}", f"{row['ratio']:.2f}"
        spread = f"{low:.2f}–{high:.2f}"
    share = row.get("share_of_floor")
    print(
        f"{row['work']:4} {count:6} {row['peer'] or '–':>10} {peer:>10} {row['ours_ms']:10.2f} "
        f"{ratio:>6}  {spread:11} {'–' if share is None else f'{share:.2f}':>6}  "
        f"{row.get('engine', '')}",
        flush=True,
    )


def _quartiles(values: list[float]) -> list[float]:
    low, _, high = quantiles(values, n=4, method="inclusive")
    return [low, high]
