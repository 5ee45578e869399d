"""Arguments that several commands have."""

import argparse
from pathlib import Path

from flowbench.config.annotations import fits
from flowbench.config.limits import Seed
from flowbench.config.words import describe

__all__ = ["add_data_options", "add_run", "add_trust", "at_least_one", "seed"]


def add_run(parser: argparse.ArgumentParser) -> None:
    """Add the run that a command is about."""
    parser.add_argument("run", type=Path, help="a run folder or checkpoint")


def add_data_options(parser: argparse.ArgumentParser) -> None:
    """Add `--cache` and `--download`: a run says neither where to write nor what to fetch."""
    parser.add_argument(
        "--cache",
        type=Path,
        help="folder of converted data (environment variable FLOWBENCH_CACHE, else cache)",
    )
    parser.add_argument("--download", action="store_true", help="fetch original data if missing")


def add_trust(parser: argparse.ArgumentParser) -> None:
    """Add `--trust`, without which only classes of flowbench are built."""
    parser.add_argument("--trust", action="store_true", help="build classes of other packages")


def seed(text: str) -> int:
    """A seed of random numbers.

    Raises:
        ArgumentTypeError: the text is none.
    """
    value = int(text) if text.isdecimal() else -1
    if not fits(value, Seed):
        raise argparse.ArgumentTypeError(f"{text!r}: expected {describe(Seed)}")
    return value


def at_least_one(text: str) -> int:
    """A whole number at least 1.

    Raises:
        ArgumentTypeError: the text is something else.
    """
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a whole number at least 1")
    return int(text)
