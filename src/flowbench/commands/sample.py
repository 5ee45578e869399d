"""Draw samples of a finished run, in the units of its data."""

import argparse
from pathlib import Path

import torch

from flowbench.checkpoint import CheckpointError
from flowbench.commands.arguments import add_data_options, add_run, add_trust, at_least_one, seed
from flowbench.commands.sample_files import write_samples
from flowbench.console import in_console
from flowbench.data import DataError
from flowbench.evaluation.runs import Run
from flowbench.exits import explained
from flowbench.formatting import counted

__all__ = ["main"]


@in_console
def main(arguments: list[str] | None = None) -> None:
    """Write samples: a table, for pictures and sound also a .png, for sound a .wav each."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    add_run(parser)
    parser.add_argument("-n", type=at_least_one, default=100, help="how many (100)")
    parser.add_argument("--out", type=Path, required=True, help=".csv .parquet .npy; .png .wav")
    parser.add_argument("--label", help="of the samples, where the density is given labels")
    parser.add_argument(
        "--context",
        nargs="+",
        type=_assignment,
        metavar="COLUMN=VALUE",
        help="of the samples of a table, e.g. city=Bern age=30; without it those of test rows",
    )
    parser.add_argument("--seed", type=seed, default=0, help="of the draws (0)")
    add_data_options(parser)
    add_trust(parser)
    options = parser.parse_args(arguments)
    torch.manual_seed(options.seed)
    with explained(CheckpointError, DataError, ValueError, OSError):
        run = Run.of(
            options.run, trust=options.trust, cache=options.cache, download=options.download
        )
        context = _context(options.context)
        written = write_samples(
            run, n=options.n, out=options.out, label=options.label, context=context
        )
    where = " at the contexts of test rows, in turn" if written.borrowed else ""
    lost, told = options.n - written.count, ""
    if lost:
        columns = ", ".join(map(repr, written.overflowing[:3]))
        why = f"overflow in {columns}" if columns else "ran away from the data"
        told = f" ({lost:,} of {options.n:,} {why} and are left out)"
    print(f"{counted(written.count, 'samples')}{where}: {options.out}{told}")


def _assignment(text: str) -> tuple[str, str]:
    column, sign, value = text.partition("=")
    if not (column and sign):
        raise argparse.ArgumentTypeError(f"{text}: expected COLUMN=VALUE")
    return column, value


def _context(assignments: list[tuple[str, str]] | None) -> dict[str, str] | None:
    if assignments is None:
        return None
    columns = [column for column, _ in assignments]
    for column in columns:
        if columns.count(column) > 1:
            raise ValueError(f"--context gives {column!r} twice, expected it once")
    return dict(assignments)
