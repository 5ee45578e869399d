"""Keep results in git: copy finished runs without their weights, and write one page over them.

    python scripts/keep_results.py outputs docs/results

Of each run `config.yaml`, `result.json`, `metrics.csv`, the scores of test rows and the figures
are copied, unless a file has more than 200 kB. Runs that are there already are replaced. The
folders of data, outputs and cache are written as `data`, `outputs` and `cache`.
"""

import argparse
import shutil
from pathlib import Path

from flowbench.report.write import write_report
from flowbench.run.folder import RunFolder, run_folders

LARGEST = 200_000  # bytes of a file
PLACES = {"output": "outputs", "cache": "cache", "data": "data"}
KEPT = ("config.yaml", "result.json", "data.json", "metrics.csv", "steps.csv", "labels.csv")


def keep(run: RunFolder, target: Path) -> None:
    """Copy what is kept of a run."""
    shutil.rmtree(target, ignore_errors=True)
    places = run.read_config()["paths"]
    files = [run.path / name for name in (*KEPT, run.test_scores.name)]
    for file in [*files, *run.figures.glob("*.png")]:
        if file.is_file() and file.stat().st_size <= LARGEST:
            place = target / file.relative_to(run.path)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, place)
            if file.suffix in (".json", ".yaml"):
                text = file.read_text(encoding="utf-8")
                for key in sorted(places, key=lambda key: -len(places[key])):
                    text = text.replace(places[key], PLACES[key])
                place.write_text(text, encoding="utf-8")


def main() -> None:
    """Copy the finished runs, and write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("source", type=Path, help="a tree of run folders")
    parser.add_argument("target", type=Path, help="where they are kept")
    options = parser.parse_args()
    runs = [run for run in run_folders(options.source) if run.finished]
    for run in runs:
        keep(run, options.target / run.path.relative_to(options.source))
    write_report(options.target, out=options.target, formats=["md"])
    print(f"{len(runs)} runs kept in {options.target}")


if __name__ == "__main__":
    main()
