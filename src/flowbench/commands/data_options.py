"""What a caller allows a command that reads the data of a run."""

import argparse
from pathlib import Path

__all__ = ["add_data_options"]


def add_data_options(parser: argparse.ArgumentParser) -> None:
    """Add `--cache` and `--download`: a run says neither where to write nor what to fetch."""
    parser.add_argument(
        "--cache",
        type=Path,
        help="folder of converted data (environment variable FLOWBENCH_CACHE, else cache)",
    )
    parser.add_argument("--download", action="store_true", help="fetch original data if missing")
