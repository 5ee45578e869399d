"""Score finished runs again: exact log-likelihoods, differences, anomalies, diagnostics."""

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from flowbench.atomic_files import write_text
from flowbench.checkpoint import CheckpointError, load
from flowbench.data import DataError
from flowbench.evaluation import evaluate, paired_difference, summarize
from flowbench.evaluation.diagnostics import diagnose
from flowbench.evaluation.files import scored_rows
from flowbench.evaluation.likelihood import LikelihoodError, least_likely
from flowbench.evaluation.runs import open_run, same_rows
from flowbench.evaluation.text import describe, diagnostic_lines, events, score_text, unit

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> None:
    """Score runs on a split of their data, or on the rows of a file."""
    options = _parser().parse_args(arguments)
    if options.paired and len(options.runs) != 2:
        sys.exit(f"--paired compares two runs, got {len(options.runs)}")
    try:
        found = _on_file(options) if options.data else _on_split(options)
        if options.json:
            options.json.parent.mkdir(parents=True, exist_ok=True)
            write_text(options.json, json.dumps(found, indent=2, allow_nan=False) + "\n")
    except (CheckpointError, DataError, LikelihoodError, ValueError, OSError) as error:
        sys.exit(str(error))


def _on_split(options: argparse.Namespace) -> dict[str, Any]:
    found: dict[str, Any] = {}
    runs = [open_run(path, trust=options.trust) for path in options.runs]
    for run in runs:
        score = evaluate(run.density.flow, run.data, options.split)
        print(f"{run.path}, {options.split}", *describe(score), sep="\n")
        found[str(run.path)] = score
        if options.diagnostics:
            score["diagnostics"] = diagnose(run.density.flow, run.data)
            print(*diagnostic_lines(score["diagnostics"]), sep="\n")
    if options.paired:
        first, second = runs
        same_rows(first, second, options.split)
        terms = first.data_space(options.split), second.data_space(options.split)
        found["paired"] = _difference(*terms, score=found[str(first.path)])
    return found


def _on_file(options: argparse.Namespace) -> dict[str, Any]:
    found: dict[str, Any] = {}
    scores = []
    for path in options.runs:
        density = load(path, trust=options.trust)
        scores.append(torch.cat(list(scored_rows(density, options.data, key=options.key))))
        if lost := int((~scores[-1].isfinite()).sum()):
            raise LikelihoodError(
                f"{options.data}: {lost} of {len(scores[-1])} rows have no finite log-density "
                f"under {path}, so that there is no mean; scripts/score.py tells which"
            )
        score = summarize(scores[-1])
        least = least_likely(scores[-1])
        found[str(path)] = {"data_space": score, "least_likely": least}
        print(f"{path}, {options.data}", f"  in data units        {score_text(score)}", sep="\n")
    if options.paired:
        found["paired"] = _difference(*scores, score={})
    return found


def _difference(
    first: torch.Tensor, second: torch.Tensor, *, score: Mapping[str, Any]
) -> dict[str, float]:
    difference, kind = paired_difference(first, second), events(score)
    name = kind.removesuffix("s")
    print(
        f"first less second, {name} by {name}: {score_text(difference, unit(score))}; "
        f"the first is higher on {difference['better']:.1%} of {difference['n']:,} {kind}"
    )
    return difference


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("runs", nargs="+", type=Path, help="run folders or checkpoints")
    parser.add_argument("--split", choices=("train", "val", "test"), default="test")
    parser.add_argument("--data", type=Path, help="score the rows of this file, in data units")
    parser.add_argument("--key", help="the array in an .npz or .h5 that holds several")
    parser.add_argument("--paired", action="store_true", help="two runs on the same rows")
    parser.add_argument(
        "--diagnostics",
        action="store_true",
        help="round trip, bounds, noise against N(0, I), gradient norms",
    )
    parser.add_argument("--json", type=Path, help="write all of it there too")
    parser.add_argument("--trust", action="store_true", help="build classes of other packages")
    return parser
