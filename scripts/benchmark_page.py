"""Tables in Markdown of the rows that scripts/benchmark.py wrote as JSON.

python scripts/benchmark_page.py FILE … [--json ALL]
"""

import argparse
import json
from itertools import groupby
from pathlib import Path
from typing import Any

HEAD = """| work | size | peer | peer, ms | ours, ms | ratio (quartiles) | floor | engine |
|---|--:|---|--:|--:|--:|--:|---|"""


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("files", type=Path, nargs="+", help="of rows, one list each")
    parser.add_argument("--json", type=Path, help="a file for the rows of all")
    options = parser.parse_args()
    rows = [row for file in options.files for row in json.loads(file.read_text())]
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")
    rows.sort(key=lambda row: row["task"])  # those of a task stay in their order
    for task, of_task in groupby(rows, key=lambda row: row["task"]):
        print(f"### {task}\n\n{HEAD}")
        print("\n".join(map(_line, of_task)), end="\n\n")
    print(f"Measured on {'; '.join(sorted({row['device'] for row in rows}))}.")
    versions = sorted({item for row in rows for item in row["versions"].items()})
    print("Versions: " + ", ".join(f"{name} {number}" for name, number in versions) + ".")


def _line(row: dict[str, Any]) -> str:
    size = next(row[name] for name in ("runs", "batch", "rows") if name in row)
    peer, ratio = ["–", "–"], "–"
    if row["ratio"] is not None:
        low, high = row["ratio_quartiles"]
        peer = [row["peer"], f"{row['peer_ms']:.2f}"]
        ratio = f"{row['ratio']:.2f} ({low:.2f}–{high:.2f})"
    share = row.get("share_of_floor")
    cells = [row["work"], f"{size:,}", *peer, f"{row['ours_ms']:.2f}", ratio]
    cells += ["–" if share is None else f"{share:.2f}", row.get("engine") or "–"]
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
