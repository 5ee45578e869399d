"""Orders × activations × batch norm: runs what is missing, and writes docs/results/sweep.md."""

import argparse
import os
import statistics
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from flowbench.atomic_files import write_text
from flowbench.formatting import MISSING, duration, rounded, signed
from flowbench.report.collect import RunRecord, collect
from flowbench.report.effects import Sweep, sweeps
from flowbench.report.settings import settings_of
from flowbench.report.table import flat, score_of
from flowbench.report.text import EFFECTS, effects_table, markdown, markdown_table

ROOT = Path(__file__).parents[1]
DATA = Path(os.environ.get("FLOWBENCH_DATA") or "data").absolute()
GAS = ["data=table", "data.name=gas_stand_in", f"data.path={DATA}/gas/gas_flow_samples.npy"]


class Part(NamedTuple):
    """One sweep: what it is called on the page, and its overrides."""

    title: str
    words: Sequence[str]


PARTS = {
    "digits": Part(
        "Digits, 64 features",
        ["data=digits", "training.batch_size=100", "trainer.max_epochs=30"],
    ),
    "power": Part(
        "POWER, the first half of 2007, 6 features",
        ["data=power_2007h1", f"data.path={DATA}/power/power_2007h1.npz",
         "training.batch_size=1024", "trainer.max_epochs=3"],
    ),
    "gas": Part(
        "GAS stand-in, 8 features",
        [*GAS, "training.batch_size=256", "trainer.max_epochs=2"],
    ),
    "gas_article": Part(
        "GAS stand-in, the article's settings",
        [*GAS, "training.batch_size=100", "trainer.max_epochs=1", "model.layers=10",
         "model.batch_norm_side=data", "model.output_scale=1.0", "training.learning_rate=1e-4",
         "training.weight_decay=0", "training.gradient_clip_norm=null",
         "model.input_order=left-to-right", "model.reverse=true,false"],
    ),
    "banana": Part(
        "Banana, one layer",
        ["data=toy", "model.layers=1", "training.batch_size=256", "trainer.max_epochs=10",
         "model.input_order=left-to-right,right-to-left"],
    ),
    "banana_deep": Part(
        "Banana, five layers",
        ["data=toy", "training.batch_size=256", "trainer.max_epochs=10",
         "model.input_order=left-to-right,right-to-left"],
    ),
}  # fmt: skip
COMMON = [
    *("sweep=article", "hydra/launcher=packed", "model=maf", "model.hidden_units=[64,64]"),
    *("training.patience=null", "figures=false", "logger=csv", "trainer=cpu"),
]


INTRODUCTION = """# Orders, activations, batch norm

"Experimenting with autoregressive flows" trains a masked autoregressive flow (MAF) on GAS and
finds: batch normalisation "was obligatory", the permutations "did not make much of a difference",
and with relu instead of tanh it was "basically learning nothing". Here every combination is
trained three times, from different seeds and on the same rows:

    python scripts/sweep.py

It makes {runs} runs ({hours} of training in all; {failed} failed), and writes this page; one of
its sweeps is, for instance,

    python train.py -m sweep=article hydra/launcher=packed data=digits

The flows have 5 layers of 64-64 units, a learning rate of 1e-3 and no early stopping, unless the
options above a table say otherwise. The limits are short ones, in epochs, so that all of it takes
minutes: the effects are those after this training, not after the longest one. Numbers are
differences of validation log-likelihoods, nats per row, over pairs of runs that differ in nothing
else, ± two standard errors over the pairs. Data: the digits of scikit-learn; POWER of January to
June 2007, not the whole set; a stand-in for GAS, i.e. 100,000 samples of a spline flow that others
fitted to GAS; and a banana, x₂ ~ N(0, 2²) and x₁ | x₂ ~ N(x₂²/4, 1), whose natural order is x₂
first: right-to-left."""

LOST = """How many runs failed (a log-likelihood was no longer finite), plus how many finished
with a mean below the 1 % quantile, i.e. ran away on a few validation rows; for those sweeps the
effects above are of medians over the rows:"""

# Written for the figures of the page that is kept; the numbers are filled in.
ANSWERS = """## The four questions

**Is batch norm "obligatory"?** Not with tanh: no run is lost without it. There it is worth
{digits[batch norm, tanh]} nats on digits, {power[batch norm, tanh]} on POWER,
{gas[batch norm, tanh]} on the stand-in for GAS ({gas_article[batch norm, tanh]} in the article's
settings) and {banana[batch norm, tanh]} on the banana. With relu on the stand-in for GAS it is
what keeps most runs (not all) sound: without it nearly all are lost, in the article's settings
every one.

**Does relu fail where tanh works?** On the stand-in for GAS it does: most runs with relu and
without batch norm fail or run away on a few rows, and none with tanh. This is no law: on POWER
tanh is worth {power[tanh for relu]} nats, on digits {digits[tanh for relu]}, so that relu is as
good or better there.

**Is the order "indifferent"?** To begin with the last feature instead of the first is, within
the errors: {digits[right-to-left for left-to-right, tanh]} on digits,
{power[right-to-left for left-to-right, tanh]} on POWER,
{gas[right-to-left for left-to-right, tanh]} on the stand-in for GAS. A random order in every
layer, however, is worth {digits[random for left-to-right, tanh]} on digits, where neighbouring
pixels depend on each other. The article's permutations (every other layer reversed, rather than
one order in all) are worth {gas_article[reversing every other layer, tanh]} in its settings.

**How far does a wrong order fall below?** On the banana, no density reaches more than −3.531. One
layer in its natural order comes to {right}, in the wrong one to {wrong}, i.e.
{banana[right-to-left for left-to-right, tanh]} nats between them with tanh, which no width or
length of training takes away: p(x₂ | x₁) has two modes, and the layer a single Gaussian. Five
layers, of which every other one has the reverse order, have made it good:
{banana_deep[right-to-left for left-to-right, tanh]}."""

TANH, RELU = {"model.activation": "tanh"}, {"model.activation": "relu"}
# Column of the summary → option, its two values, and values that the runs of both have.
COLUMNS: dict[str, tuple[str, str, str, dict[str, Any]]] = {
    "batch norm, tanh": ("model.batch_norm", "true", "false", TANH),
    "batch norm, relu": ("model.batch_norm", "true", "false", RELU),
    "tanh for relu": ("model.activation", "tanh", "relu", {}),
    "right-to-left for left-to-right, tanh": (
        *("model.input_order", "right-to-left", "left-to-right"), TANH,
    ),
    "random for left-to-right, tanh": ("model.input_order", "random", "left-to-right", TANH),
    "reversing every other layer, tanh": ("model.reverse", "true", "false", TANH),
}  # fmt: skip


def main() -> None:
    """Run the sweeps, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("outputs/sweep"), help="of the runs")
    parser.add_argument("--page", type=Path, default=Path("docs/results/sweep.md"))
    parser.add_argument("--parts", nargs="*", choices=PARTS, default=list(PARTS), metavar="PART",
                        help=f"some of {', '.join(PARTS)}, without a page")  # fmt: skip
    options = parser.parse_args()
    for name in options.parts:
        output = f"paths.output={options.output.absolute() / name}"
        command = [sys.executable, ROOT / "train.py", "-m", *COMMON, *PARTS[name].words, output]
        subprocess.run(command, check=False)  # a run that fails is a result, too
    if options.parts == list(PARTS):
        write_text(options.page, page({name: collect(options.output / name) for name in PARTS}))


def page(runs: Mapping[str, Sequence[RunRecord]]) -> str:
    """What the sweeps say.

    Args:
        runs: of each part.
    """
    number = sum(map(len, runs.values()))
    finished = [run.result["seconds"] for part in runs.values() for run in part if run.result]
    lines = [
        INTRODUCTION.format(
            runs=number, failed=number - len(finished), hours=duration(sum(finished))
        ),
        _summary(runs),
        LOST,
        _lost(runs),
        _answers(runs),
    ]
    for name, part in PARTS.items():
        told = " ".join(word for word in part.words if not word.startswith("data.path="))
        lines += [f"## {part.title}", f"`{told}`", *map(_table, _sweeps(runs[name]))]
    return "\n\n".join([*lines, EFFECTS]) + "\n"


def _answers(runs: Mapping[str, Sequence[RunRecord]]) -> str:
    """The sentences, with their numbers."""
    cells = {
        name: {heading: _cell(part, *column) for heading, column in COLUMNS.items()}
        for name, part in runs.items()
    }
    ends = {}
    for end, order in (("right", "right-to-left"), ("wrong", "left-to-right")):
        where = {"model.input_order": order, "model.batch_norm": True}
        found = _tests(runs["banana"], where)
        ends[end] = f"{statistics.fmean(found):.3f}".replace("-", "−") if found else MISSING
    return ANSWERS.format(**cells, **ends)


def _tests(runs: Sequence[RunRecord], where: Mapping[str, Any]) -> list[float]:
    """The mean log-likelihoods of the test rows."""
    alike = [run for run in runs if where.items() <= flat(run.config).items()]
    return [score.mean for run in alike if (score := score_of(run, "test"))]


def _summary(runs: Mapping[str, Sequence[RunRecord]]) -> str:
    """One line per part: the effects that the questions are about."""
    head = ["sweep", *COLUMNS]
    lines = []
    for name, part in runs.items():
        cells = [_cell(part, *column) for column in COLUMNS.values()]
        lines.append([PARTS[name].title, *cells])
    return markdown(head, lines)


def _lost(runs: Mapping[str, Sequence[RunRecord]]) -> str:
    """How many runs of each part failed or ran away, with batch norm and without."""
    head = ["sweep", *(f"{norm}, {kind}" for norm in ("with batch norm", "without")
                       for kind in ("relu", "tanh"))]  # fmt: skip
    lines = []
    for name, part in runs.items():
        cells = [
            _loss(run for run in part if where.items() <= flat(run.config).items())
            for where in (
                {"model.batch_norm": norm, "model.activation": kind}
                for norm in (True, False) for kind in ("relu", "tanh")
            )
        ]  # fmt: skip
        lines.append([PARTS[name].title, *cells])
    return markdown(head, lines)


def _loss(runs: Iterable[RunRecord]) -> str:
    """How many failed, and of how many that finished the mean is lost."""
    members = list(runs)
    scores = [score for run in members if (score := score_of(run, "val"))]
    failed = sum(run.status == "failed" for run in members)
    return f"{failed} + {sum(score.runs_away for score in scores)} of {len(members)}"


def _cell(
    runs: Sequence[RunRecord], option: str, value: str, other: str, where: Mapping[str, Any]
) -> str:
    """The effect of a value of an option instead of another one, as text."""
    alike = [run for run in runs if where.items() <= flat(run.config).items()]
    for sweep in _sweeps(alike):
        levels = {effect.level: effect for effect in sweep.effects.get(option, ())}
        if {value, other} <= set(levels):
            sign, effect = (
                (-1, levels[other]) if levels[value].is_reference else (1, levels[value])
            )
            if effect.difference is not None:
                error = effect.two_standard_errors or abs(effect.difference) / 10
                told = f"{signed(sign * effect.difference, error)} ± {rounded(error, error)}"
                return told + (" (medians)" if sweep.statistic == "median" else "")
    return MISSING


def _sweeps(runs: Sequence[RunRecord]) -> list[Sweep]:
    return list(sweeps(settings_of(runs)))


def _table(sweep: Sweep) -> str:
    table = effects_table(sweep)
    return "\n\n".join([markdown_table(table), *table.notes[1:]])


if __name__ == "__main__":
    main()
