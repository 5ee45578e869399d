"""Write the density of a finished run as files that run without flowbench."""

import argparse
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from flowbench.atomic_files import replacing
from flowbench.checkpoint import CheckpointError
from flowbench.commands import onnx_files, programs
from flowbench.commands.arguments import add_data_options, add_run, add_trust
from flowbench.commands.programs import ExportError, FromNoise, LogDensity
from flowbench.console import in_console
from flowbench.data import DataError
from flowbench.density import TrainedDensity
from flowbench.evaluation.runs import Run
from flowbench.exits import FAILED, Exit, explained
from flowbench.extras import how_to_install

__all__ = ["main"]

ROWS = 1000  # on which a file is checked


@in_console
def main(arguments: list[str] | None = None) -> None:
    """Write the log-density, and sampling from given noise, in the units of the data.

    OUT is the log-density of rows (and contexts), OUT with `_sample` before its extension maps
    standard normal noise (and contexts) to samples. Both are checked on test rows of the run, or
    on samples where its data are not there.
    """
    options = _parser().parse_args(arguments)
    out: Path = options.out
    needed = [name for name in onnx_files.PACKAGES if find_spec(name) is None]
    with explained(CheckpointError, DataError, ValueError, OSError):
        if options.onnx and needed:
            raise Exit(f"--onnx needs {', '.join(needed)}: {how_to_install('export')}")
        if out.suffix != programs.SUFFIX:
            raise Exit(f"--out={out}: expected a name that ends in .pt2")
        density, rows, of = _density_and_rows(options)
        out.parent.mkdir(parents=True, exist_ok=True)
        noise = torch.randn(len(rows[0]), density.flow.features, dtype=torch.float64)
        wanted = (
            ("log-density", LogDensity, rows, out),
            ("samples", FromNoise, (noise, *rows[1:]), out.with_stem(f"{out.stem}_sample")),
        )
        written = 0
        for what, module, inputs, path in wanted:
            try:
                for file, difference in _export(module(density), inputs, path, onnx=options.onnx):
                    written += 1
                    print(
                        f"{what}: {file} (checked on {len(rows[0]):,} {of}: largest difference "
                        f"{difference:.1g})"
                    )
            except ExportError as error:
                print(f"{what}: not exported: {error}", file=sys.stderr)
    if not written:
        sys.exit(FAILED)


def _export(
    module: nn.Module, inputs: tuple[Tensor, ...], path: Path, *, onnx: bool
) -> Iterator[tuple[Path, float]]:
    """Write the files of a module, each with its largest difference from it."""
    program = programs.trace(module, inputs)
    for kind in (programs, onnx_files) if onnx else (programs,):
        file = path.with_suffix(kind.SUFFIX)
        with replacing(file) as part:
            kind.write(program, part)
            difference = programs.largest_difference(kind.read(part), module, inputs)
        yield file, difference


def _density_and_rows(
    options: argparse.Namespace,
) -> tuple[TrainedDensity, tuple[Tensor, ...], str]:
    """The density, and rows (and contexts) in data units to check it on, float64."""
    run = Run.of(options.run, trust=options.trust, cache=options.cache, download=options.download)
    try:
        raw = run.data.raw
    except (CheckpointError, DataError):
        return run.density, _sampled(run.density), "sampled rows"
    count = len(raw.x["test"])
    index = np.linspace(0, count - 1, min(ROWS, count)).astype(np.int64)
    parts = [raw.x["test"], *([raw.context["test"]] if raw.context else [])]
    rows = tuple(torch.from_numpy(np.array(part[index], np.float64)) for part in parts)
    return run.density, rows, "test rows"


@torch.no_grad()
def _sampled(density: TrainedDensity) -> tuple[Tensor, ...]:
    """Rows drawn from the density, at contexts that are drawn from N(0, I) in model space."""
    if not density.context_features:
        return (density.sample(ROWS).double(),)
    noise = torch.randn(ROWS, density.context_features, dtype=torch.float64)
    contexts, _ = density.context_preprocess(noise)
    contexts = contexts.reshape(ROWS, *density.context_shape)
    return density.sample(1, contexts)[0].double(), contexts


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=main.__doc__)
    add_run(parser)
    parser.add_argument("--out", type=Path, required=True, help="where to, a name in .pt2")
    parser.add_argument("--onnx", action="store_true", help="write both as .onnx too")
    add_data_options(parser)
    add_trust(parser)
    return parser
