"""Draw samples of a finished run, in the units of its data."""

import argparse
import sys
from pathlib import Path

import torch

from flowbench.checkpoint import CheckpointError
from flowbench.data import DataError
from flowbench.evaluation.runs import open_run
from flowbench.evaluation.samples import write_samples


def main(arguments: list[str] | None = None) -> None:
    """Write samples: a table, for pictures and sound also a .png, for sound a .wav each."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("run", type=Path, help="a run folder or checkpoint")
    parser.add_argument("-n", type=_count, default=100, help="how many")
    parser.add_argument("--out", type=Path, required=True, help=".csv .parquet .npy; .png .wav")
    parser.add_argument("--label", help="of the samples, where the density is given labels")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--trust", action="store_true", help="build classes of other packages")
    options = parser.parse_args(arguments)
    torch.manual_seed(options.seed)
    try:
        run = open_run(options.run, trust=options.trust)
        write_samples(run, n=options.n, out=options.out, label=options.label)
    except (CheckpointError, DataError, ValueError, OSError) as error:
        sys.exit(str(error))
    print(f"{options.n:,} samples: {options.out}")


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text}: expected a whole number, at least 1")
    return int(text)


if __name__ == "__main__":
    main()
