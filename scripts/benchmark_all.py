"""The whole table of docs/speed.md: every benchmark that FOLDER lacks, then the page of all.

    python scripts/benchmark_all.py FOLDER [--repeats N] [--only train,fit]

Each benchmark writes a JSON file into FOLDER, so that the same command goes on after it was
stopped. To measure some anew, delete their files. One that fails is told, and the others go on;
the page, FOLDER/speed.md, says what is missing. It takes hours: use a machine that is idle.
"""

import argparse
import subprocess
import sys
from pathlib import Path

from benchmark_wanted import WANTED, Wanted

HERE = Path(__file__).parent


def main() -> None:
    """Measure what is missing."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="of the rows and of the page")
    parser.add_argument("--repeats", default="5", help="turns of each (default 5)")
    parser.add_argument("--only", default="", help="names of benchmarks, separated by commas")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    chosen = options.only.split(",") if options.only else {one.benchmark for one in WANTED}
    for one in WANTED:
        file = options.folder / f"{_name(one)}.json"
        if one.benchmark not in chosen or file.exists():
            continue
        words = [one.benchmark, *one.options, "--repeats", options.repeats]
        print("benchmark.py", *words, flush=True)
        part = file.with_suffix(".unfinished")
        if _run("benchmark.py", *words, "--json", str(part)).returncode:
            print(f"it has failed: {_name(one)} will be missing", file=sys.stderr)
        else:
            part.rename(file)
    files = sorted(map(str, options.folder.glob("*.json")))
    if not files:
        sys.exit("nothing was measured")
    with (options.folder / "speed.md").open("w") as page:
        code = _run("benchmark_page.py", *files, "--complete", stdout=page).returncode
    print(options.folder / "speed.md")
    sys.exit(code)


def _name(one: Wanted) -> str:
    words = [one.benchmark, *one.options]
    given = [word for word in words[:5] if not word.startswith("--")]
    return "_".join(given)


def _run(script: str, *words: str, **options: object) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run([sys.executable, str(HERE / script), *words], **options)  # type: ignore


if __name__ == "__main__":
    main()
