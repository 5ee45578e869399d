"""Write the report over a tree of run folders: `python scripts/report.py outputs/`."""

import argparse
from pathlib import Path

from flowbench.console import in_console
from flowbench.exits import explained
from flowbench.report.collect import ReportError
from flowbench.report.write import FORMATS, write_report
from flowbench.run.folder import RunFolderError

__all__ = ["main"]


@in_console
def main() -> None:
    """Parse, write, and say where."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", type=Path, help="folder of run folders, e.g. outputs/")
    parser.add_argument("--out", type=Path, help="where to write; default: <root>/report")
    parser.add_argument(
        "--format",
        nargs="+",
        choices=FORMATS,
        default=list(FORMATS),
        help="a page, tables in Markdown, all numbers of every run as CSV, a table for a paper; "
        "default: all of them",
    )
    parser.add_argument("--readme", type=Path, help="rewrite the results table in this file")
    options = parser.parse_args()
    with explained(ReportError, RunFolderError, OSError):
        folder = write_report(
            options.root, out=options.out, formats=options.format, readme=options.readme
        )
    for name in options.format:
        print(folder / FORMATS[name][0])
