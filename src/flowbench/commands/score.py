"""Write the log-density of every row of a file, in the units of the data, in nats."""

import argparse
from pathlib import Path

from flowbench.checkpoint import CheckpointError, load
from flowbench.commands.arguments import at_least_one
from flowbench.console import in_console
from flowbench.data import DataError
from flowbench.evaluation.files import score_file
from flowbench.evaluation.text import line, noise_told
from flowbench.exits import explained

__all__ = ["main"]


@in_console
def main(arguments: list[str] | None = None) -> None:
    """Write one column, log_density, in the order of the rows; files may exceed memory."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("run", type=Path, help="a run folder or checkpoint")
    parser.add_argument("--data", type=Path, required=True, help="a file like data.path")
    parser.add_argument("--out", type=Path, required=True, help=".csv or .parquet")
    parser.add_argument("--key", help="the array in an .npz or .h5 that holds several")
    parser.add_argument(
        "--draws",
        type=at_least_one,
        default=1,
        help="draws of the dequantisation noise to average over",
    )
    parser.add_argument("--trust", action="store_true", help="build classes of other packages")
    options = parser.parse_args(arguments)
    with explained(CheckpointError, DataError, ValueError, OSError):
        density = load(options.run, trust=options.trust)
        found = {"key": options.key, "draws": options.draws}
        count, lost = score_file(density, options.data, out=options.out, **found)
    told = f", {lost:,} of them nan, for missing values" if lost else ""
    print(f"{count:,} rows{told}: {options.out}")
    if density.lattices:
        print(line("dequantisation", noise_told(options.draws, "--draws 10")))
