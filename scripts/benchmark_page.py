"""Tables in Markdown of the rows that scripts/benchmark.py wrote as JSON.

    python scripts/benchmark_page.py FILE … [--json ALL] [--complete]

Rows stand in one order whatever that of the files is; of a row measured twice the later file's is
kept. --complete also lists what scripts/benchmark_all.py measures and no file has.
"""

import argparse
import json
from itertools import groupby
from pathlib import Path
from typing import Any

from benchmark_wanted import PEERS, wanted

Row = dict[str, Any]
HEAD = """| work | size | peer | peer, ms | ours, ms | ratio (quartiles) | floor | engine |
|---|--:|---|--:|--:|--:|--:|---|"""
TASKS = ["train", "log_prob", "sample", "fit", "loader", "packed", "packed_steps", "pixels_train"]
TASKS += ["pixels_sample", "import", "help"]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("files", type=Path, nargs="+", help="of rows, one list each")
    parser.add_argument("--json", type=Path, help="a file for the rows of all")
    parser.add_argument("--complete", action="store_true", help="tell what was not measured")
    options = parser.parse_args()
    found = [row for file in options.files for row in json.loads(file.read_text())]
    rows = sorted({(*_place(row), row["device"]): row for row in found}.values(), key=_rank)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")
    for task, of_task in groupby(rows, key=lambda row: row["task"]):
        print(f"### {task}\n\n{HEAD}")
        print("\n".join(map(_line, of_task)), end="\n\n")
    if options.complete:
        print(_missing(rows), end="\n\n")
    print(f"Measured on {'; '.join(sorted({row['device'] for row in rows}))}.")
    versions = sorted({item for row in rows for item in row["versions"].items()})
    print("Versions: " + ", ".join(f"{name} {number}" for name, number in versions) + ".")


def _missing(rows: list[Row]) -> str:
    there = {_place(row)[:4] for row in rows}
    left = [
        " ".join([task, work, f"{size:,}", "beside", peer])
        for task, work, size, peer in wanted()
        if (task, work, size, peer) not in there
    ]
    return f"Not measured: {'; '.join(left)}." if left else "Everything was measured."


def _place(row: Row) -> tuple[str, str, int, str, str]:
    """What tells a row from others: task, work, size, peer, and its engine where one was asked."""
    return row["task"], row["work"], _size(row), row["peer"] or "", row.get("engine") or ""


def _rank(row: Row) -> tuple[Any, ...]:
    task, work, size, peer, engine = _place(row)
    return (
        *(TASKS.index(task) if task in TASKS else len(TASKS), task, work, size),
        *(PEERS.index(peer) if peer in PEERS else len(PEERS), peer, engine, row["device"]),
    )


def _size(row: Row) -> int:
    return next(row[name] for name in ("runs", "batch", "rows") if name in row)


def _line(row: Row) -> str:
    peer, ratio = ["–", "–"], "–"
    if row["ratio"] is not None:
        low, high = row["ratio_quartiles"]
        peer = [row["peer"], f"{row['peer_ms']:.2f}"]
        ratio = f"{row['ratio']:.2f} ({low:.2f}–{high:.2f})"
    share = row.get("share_of_floor")
    cells = [row["work"], f"{_size(row):,}", *peer, f"{row['ours_ms']:.2f}", ratio]
    cells += ["–" if share is None else f"{share:.2f}", row.get("engine") or "–"]
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
