"""Score finished runs again: exact log-likelihoods, differences, anomalies, diagnostics."""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from flowbench.atomic_files import write_text
from flowbench.checkpoint import CheckpointError, load
from flowbench.commands.arguments import add_data_options, add_trust, at_least_one
from flowbench.config.settings import Evaluation
from flowbench.config.signatures import problems_of_call
from flowbench.console import in_console
from flowbench.data import DataError
from flowbench.data.raw import SPLITS
from flowbench.evaluation import Score, evaluate, paired_difference
from flowbench.evaluation.clips import rows_per_event
from flowbench.evaluation.diagnostics import diagnose
from flowbench.evaluation.files import scored_rows, together
from flowbench.evaluation.likelihood import LikelihoodError, least_likely
from flowbench.evaluation.prior import refuse_idle
from flowbench.evaluation.runs import open_run, same_rows
from flowbench.evaluation.text import (
    describe,
    diagnostic_lines,
    least_likely_line,
    line,
    noise_told,
)
from flowbench.exits import Exit, explained

__all__ = ["main"]


@in_console
def main(arguments: list[str] | None = None) -> None:
    """Score runs on a split of their data, or on the rows of a file."""
    options = _parser().parse_args(arguments)
    with explained(CheckpointError, DataError, LikelihoodError, ValueError, OSError):
        if options.paired and len(options.runs) != 2:
            raise Exit(f"--paired compares two runs, got {len(options.runs)}")
        if options.data and options.class_prior is not None:
            raise Exit(
                "--class-prior: the rows of a file are scored given their labels; leave it out"
            )
        if options.data and options.background is not None:
            raise Exit(
                "--background: the rows of a file have no words to tell apart; leave it out"
            )
        found = _on_file(options) if options.data else _on_split(options)
        if options.json:
            options.json.parent.mkdir(parents=True, exist_ok=True)
            write_text(options.json, json.dumps(found, indent=2, allow_nan=False) + "\n")


def _on_split(options: argparse.Namespace) -> dict[str, Any]:
    found: dict[str, Any] = {}
    own = {"trust": options.trust, "cache": options.cache, "download": options.download}
    runs = [open_run(path, **own) for path in options.runs]
    for run in runs:
        scoring = _scoring(run.density.config, options)
        refuse_idle(run.data, scoring)
        block = evaluate(run.density.flow, run.data, options.split, options=scoring)
        print(run.path, *describe(block, options.split), least_likely_line(block), sep="\n")
        found[str(run.path)] = block
        if options.diagnostics:
            block["diagnostics"] = diagnose(run.density.flow, run.data)
            print(*diagnostic_lines(block["diagnostics"]), sep="\n")
    if options.paired:
        first, second = runs
        same_rows(first, second, options.split)
        draws = max(_scoring(run.density.config, options).draws for run in runs)
        terms = (run.data_space(options.split, draws=draws) for run in runs)
        own = {"weight": first.data.rows[options.split].weight}
        own |= {"rows_per_event": rows_per_event(first.data)}
        found["paired"] = _difference(*terms, **own)
    return found


def _on_file(options: argparse.Namespace) -> dict[str, Any]:
    found: dict[str, Any] = {}
    terms, weights = [], []
    for path in options.runs:
        density = load(path, trust=options.trust)
        draws = options.draws or 1
        pieces = scored_rows(density, options.data, key=options.key, draws=draws)
        scored = together(list(pieces))
        if scored.weight is not None and not scored.weight.any():
            raise DataError(f"{options.data}: all weights are 0, expected some above 0")
        terms.append(scored.terms)
        weights.append(scored.weight)
        if lost := int((~terms[-1].isfinite()).sum()):
            raise LikelihoodError(
                f"{options.data}: {lost} of {len(terms[-1])} rows have no finite log-density "
                f"under {path}, so that there is no mean; scripts/score.py tells which"
            )
        score = Score.of(terms[-1], weight=scored.weight)
        found[str(path)] = {"data_space": score.json(), "least_likely": least_likely(terms[-1])}
        print(f"{path}, {options.data}", line("in data units", score.text()), sep="\n")
        if density.lattices:
            found[str(path)]["noise_draws"] = draws
            print(line("dequantisation", noise_told(draws, "--draws 10")))
    if options.paired:
        found["paired"] = _difference(*terms, weight=weights[0])
    return found


def _scoring(config: Mapping[str, Any], options: argparse.Namespace) -> Evaluation:
    """How a run is scored: as its configuration says, unless the command says else."""
    names = ("class_prior", "draws", "background")
    asked = {name: getattr(options, name) for name in names}
    section = dict(config.get("evaluation") or {})
    section |= {key: value for key, value in asked.items() if value is not None}
    if problems := list(problems_of_call("evaluation", Evaluation, section)):
        raise ValueError("\n".join(problems))
    return Evaluation(**section)


def _prior(text: str) -> str | list[float]:
    """`uniform`, `empirical`, or probabilities such as `0.2,0.8`."""
    if text in ("uniform", "empirical"):
        return text
    try:
        return [float(share) for share in text.strip("[] ").split(",")]
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"{text!r}: expected uniform, empirical, or one probability per label such as 0.2,0.8"
        ) from error


def _difference(
    first: torch.Tensor,
    second: torch.Tensor,
    *,
    weight: torch.Tensor | None = None,
    rows_per_event: int = 1,
) -> dict[str, float]:
    difference = paired_difference(first, second, weight)
    score = Score.parse(difference, rows_per_event=rows_per_event)
    print(
        f"first less second, {score.event} by {score.event}: {score.text()}; "
        f"the first is higher on {difference['better']:.1%} of {score.n:,} {score.event}s"
    )
    return difference


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("runs", nargs="+", type=Path, help="run folders or checkpoints")
    parser.add_argument("--split", choices=SPLITS, default="test")
    parser.add_argument("--data", type=Path, help="score the rows of this file, in data units")
    parser.add_argument("--key", help="the array in an .npz or .h5 that holds several")
    parser.add_argument("--paired", action="store_true", help="two runs on the same rows")
    parser.add_argument(
        "--diagnostics",
        action="store_true",
        help="round trip, bounds, noise against N(0, I), gradient norms",
    )
    parser.add_argument(
        "--class-prior",
        type=_prior,
        help="p(label): uniform, empirical or 0.2,0.8,...; as the run was scored unless given",
    )
    parser.add_argument(
        "--draws",
        type=at_least_one,
        help="draws of the dequantisation noise to average over; as the run was scored, or 1",
    )
    parser.add_argument(
        "--background",
        help="the run of a density of all words, subtracted from that of one to tell words apart",
    )
    parser.add_argument("--json", type=Path, help="write all of it there too")
    add_data_options(parser)
    add_trust(parser)
    return parser
