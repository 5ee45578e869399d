"""Download the originals of data sets: `python scripts/download.py gas mnist`, or `all`."""

import argparse
import os
import sys

from flowbench.console import in_console
from flowbench.data import DataError
from flowbench.data.download.download import download
from flowbench.data.download.sources import SOURCES
from flowbench.disk import shown_size
from flowbench.exits import DONE, FAILED, explained

__all__ = ["main"]


@in_console
def main() -> int:
    """Download what is asked for; exit code 1 if a data set failed."""
    sizes = [
        f"  {name:22} {shown_size(sum(file.size for file in source.files))}"
        for name, source in SOURCES.items()
    ]
    parser = argparse.ArgumentParser(
        description="Download the originals of data sets; what is there already stays as it is.",
        epilog="data sets, and what is downloaded for each:\n" + "\n".join(sizes),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="+", metavar="NAME", choices=[*SOURCES, "all"])
    parser.add_argument(
        "--data-dir",
        default=os.environ.get("FLOWBENCH_DATA") or "data",
        help="where the originals go (default: environment variable FLOWBENCH_DATA, else data)",
    )
    options = parser.parse_args()
    code = DONE
    with explained(OSError):
        for name in SOURCES if "all" in options.names else options.names:
            try:
                download(name, data_dir=options.data_dir)
            except DataError as error:
                print(error, file=sys.stderr)
                code = FAILED
            else:
                print(f"{name}: {os.path.join(options.data_dir, name)}")
    return code
