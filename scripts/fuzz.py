"""Try what users and strangers may give: `python scripts/fuzz.py configurations --n 500 --seed 0`.

Every case must end in a result, or in sentences with the right exit code, in bounded time and
memory. The figures are printed, and all cases are written as JSON.
"""

import argparse
import json
import os
import sys
import time
from collections import Counter
from dataclasses import asdict
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported

from fuzzing import configurations, folders, interruptions, tables

CAMPAIGNS = {
    "configurations": configurations.campaign,
    "folders": folders.campaign,
    "tables": tables.campaign,
    "interruptions": interruptions.campaign,
}


def main() -> None:
    """Run a campaign; the exit code is 1 if a case ended badly."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("campaign", choices=CAMPAIGNS)
    parser.add_argument("--n", type=int, default=500, help="number of cases (500)")
    parser.add_argument("--seed", type=int, default=0, help="of what is drawn (0)")
    parser.add_argument("--seconds", type=float, help="begin no case after this time")
    parser.add_argument("--json", type=Path, help="where all cases are written")
    options = parser.parse_args()
    started, found = time.monotonic(), []
    for outcome in CAMPAIGNS[options.campaign](options.n, seed=options.seed):
        found.append(outcome)
        if outcome.bad:
            print(f"bad: {outcome.bad}: {outcome.command}\n{outcome.told}", flush=True)
        if options.seconds and time.monotonic() - started > options.seconds:
            break
    bad = sum(bool(one.bad) for one in found)
    codes = Counter(one.code for one in found)
    print(
        f"{options.campaign}: {len(found)} cases with seed {options.seed}, {bad} bad, "
        f"{time.monotonic() - started:.0f} s; exit codes: "
        + ", ".join(f"{code}: {codes[code]}" for code in sorted(codes))
        + f"; the slowest took {max((one.seconds for one in found), default=0):.1f} s"
    )
    if options.json:
        options.json.write_text(json.dumps([asdict(one) for one in found], indent=1) + "\n")
    sys.exit(bool(bad))


if __name__ == "__main__":
    main()
