"""Draw samples of a finished run, in the units of its data."""

import argparse
from pathlib import Path

import torch

from flowbench.checkpoint import CheckpointError
from flowbench.commands.sample_files import write_samples
from flowbench.data import DataError
from flowbench.evaluation.runs import open_run
from flowbench.exits import explained

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> None:
    """Write samples: a table, for pictures and sound also a .png, for sound a .wav each."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("run", type=Path, help="a run folder or checkpoint")
    parser.add_argument("-n", type=_count, default=100, help="how many (100)")
    parser.add_argument("--out", type=Path, required=True, help=".csv .parquet .npy; .png .wav")
    parser.add_argument("--label", help="of the samples, where the density is given labels")
    parser.add_argument(
        "--context",
        nargs="+",
        type=_assignment,
        metavar="COLUMN=VALUE",
        help="of the samples of a table, e.g. city=Bern age=30; without it those of test rows",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the draws (0)")
    parser.add_argument("--trust", action="store_true", help="build classes of other packages")
    options = parser.parse_args(arguments)
    torch.manual_seed(options.seed)
    with explained(CheckpointError, DataError, ValueError, OSError):
        run = open_run(options.run, trust=options.trust)
        context = _context(options.context)
        count, borrowed = write_samples(
            run, n=options.n, out=options.out, label=options.label, context=context
        )
    where = " at the contexts of test rows, in turn" if borrowed else ""
    lost = options.n - count
    told = f" ({lost} of {options.n:,} ran away from the data and are left out)" if lost else ""
    print(f"{count:,} samples{where}: {options.out}{told}")


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text}: expected a whole number, at least 1")
    return int(text)


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
