"""Write the log-density of every row of a file, in the units of the data, in nats."""

import argparse
from pathlib import Path

from flowbench.checkpoint import CheckpointError, load
from flowbench.commands.arguments import add_run, add_trust, at_least_one
from flowbench.console import in_console
from flowbench.data import DataError
from flowbench.evaluation.files import Scored, score_file
from flowbench.evaluation.score import Score
from flowbench.evaluation.text import line, noise_told
from flowbench.exits import explained
from flowbench.formatting import counted

__all__ = ["main"]


@in_console
def main(arguments: list[str] | None = None) -> None:
    """Write one column, log_density, in the order of the rows; files may exceed memory."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    add_run(parser)
    parser.add_argument("--data", type=Path, required=True, help="a file like data.path")
    parser.add_argument("--out", type=Path, required=True, help=".csv or .parquet")
    parser.add_argument("--key", help="the array in an .npz or .h5 that holds several")
    parser.add_argument(
        "--draws",
        type=at_least_one,
        default=1,
        help="draws of the dequantisation noise to average over",
    )
    add_trust(parser)
    options = parser.parse_args(arguments)
    with explained(CheckpointError, DataError, ValueError, OSError):
        if options.out.exists() and options.out.samefile(options.data):
            raise ValueError(f"--out {options.out} is the file of --data: expected another")
        density = load(options.run, trust=options.trust)
        found = {"key": options.key, "draws": options.draws}
        scored = score_file(density, options.data, out=options.out, **found)
    lost = scored.terms.isnan()
    told = f", {int(lost.sum()):,} of them nan, for missing values" if lost.any() else ""
    print(f"{counted(len(lost), 'rows')}{told}: {options.out}")
    if scored.weight is not None:
        print(_weighted_mean(density.config["data"]["weight_column"], scored))
    if density.lattices:
        print(line("dequantisation", noise_told(options.draws, "--draws 10")))


def _weighted_mean(name: str, scored: Scored) -> str:
    """The mean over the rows that have a score and a weight."""
    assert scored.weight is not None
    known = scored.terms.isfinite() & (scored.weight > 0) & scored.weight.isfinite()
    if not known.any():
        return line("mean", f"no row has both a score and a positive {name!r}")
    score = Score.of(scored.terms[known], weight=scored.weight[known])
    return line(
        "mean", f"{score.text()}, weighted by {name!r}, over {counted(int(known.sum()), 'rows')}"
    )
