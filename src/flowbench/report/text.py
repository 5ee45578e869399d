"""The report as text: tables in Markdown, also for a README and the end of a sweep."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from flowbench import formatting
from flowbench.atomic_files import write_text
from flowbench.report.collect import ReportError, RunRecord
from flowbench.report.effects import Sweep
from flowbench.report.results import Cell, Table
from flowbench.report.settings import Setting, settings_of
from flowbench.report.table import score_of

__all__ = [
    "effects_table",
    "markdown",
    "markdown_report",
    "markdown_table",
    "rewrite_readme",
    "run_table",
]

EFFECTS = (
    "Effects are mean differences of validation log-likelihoods, in nats, to the reference value, "
    "over pairs of runs with the same seed that differ in this option alone, ± two standard "
    "errors over the pairs."
)
MEDIANS = (
    "Medians over the validation rows, not means, since the means of {count} runs lie below their "
    "1 % quantiles: of some rows their densities have run away."
)
BEGIN, END = "<!-- results -->", "<!-- /results -->"


def markdown(headings: Sequence[str], lines: Iterable[Sequence[str]], *, words: int = 1) -> str:
    """A table in Markdown, of cells that are Markdown already.

    Args:
        headings: of the columns.
        lines: their cells.
        words: number of columns, the first ones, that are aligned to the left.

    Example:
        >>> print(markdown(["model", "nats"], [["maf", "1.5"]]))
        | model | nats |
        | --- | --: |
        | maf | 1.5 |
    """
    rule = ["---"] * words + ["--:"] * (len(headings) - words)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [headings, rule, *lines])


def markdown_table(table: Table) -> str:
    """A table in Markdown; its notes are not in it."""
    lines = ([_cell(cell.text) for cell in line] for line in table.lines)
    return markdown(table.headings, lines, words=table.words)


def effects_table(sweep: Sweep) -> Table:
    """What each option of a sweep does, for every format."""
    lines = []
    for option, effects in sweep.effects.items():
        for effect in effects:
            error = effect.two_standard_errors
            text = formatting.MISSING
            if effect.is_reference:
                text = "reference"
            elif effect.difference is not None:
                text = formatting.signed(effect.difference, error or abs(effect.difference) / 10)
                text += "" if error is None else f" ± {formatting.rounded(error, error)}"
            counts = (effect.pairs, effect.finished, effect.failed)
            numbers = (Cell(str(count), count) for count in counts)
            lines.append(
                [Cell(option), Cell(effect.level), Cell(text, effect.difference), *numbers]
            )
    headings = ["option", "value", "effect (nats)", "pairs", "finished runs", "failed runs"]
    return Table(headings=headings, words=2, lines=lines, notes=_effects_notes(sweep))


def _effects_notes(sweep: Sweep) -> list[str]:
    """What the numbers of a sweep are."""
    away = sweep.statistic == "median"
    return [EFFECTS, *([MEDIANS.format(count=sweep.running_away)] if away else [])]


def run_table(runs: Sequence[RunRecord], statuses: Sequence[str] | None = None) -> str:
    """One line per run: what became of it, the keys in which it differs, its scores or its error.

    Args:
        runs: in the order of the lines.
        statuses: what became of each; None: their own words.
    """
    settings = {id(run): setting for setting in settings_of(runs) for run in setting.runs}
    names = any(setting.name for setting in settings.values())
    header = ["status", "data", "model", *(["setting"] if names else []), "seed", "epochs"]
    header += ["validation log-likelihood", "test log-likelihood"]
    rows = [header]
    for run, status in zip(runs, statuses or [run.outcome for run in runs], strict=True):
        setting = settings[id(run)]
        rows.append(
            [
                _cell(status),
                _cell(setting.data),
                _cell(setting.model),
                *([_cell(setting.name)] if names else []),
                run.path.name.removeprefix("seed="),
                formatting.integer(run.result.get("epochs", len(run.history))),
                _score(run, "val"),
                _cell(run.error) if run.error else _score(run, "test"),
            ]
        )
    widths = [max(map(len, column)) for column in list(zip(*rows, strict=True))[:-1]]
    rows.insert(1, ["-" * width for width in widths] + ["---"])
    return "\n".join(_padded(row, widths) for row in rows)


def _padded(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=False)]
    return f"| {' | '.join([*padded, cells[-1]])} |"


def _score(run: RunRecord, split: str) -> str:
    score = score_of(run, split)
    if score is None:
        return formatting.MISSING
    return formatting.with_error(score.mean, score.two_standard_errors)


def _cell(text: str) -> str:
    """A text as one that means nothing in Markdown, on one line."""
    printable = "".join(one if one.isprintable() else " " for one in text)
    return re.sub(r"[\\|`*<>&]|(?<=\])(?=\()", r"\\\g<0>", " ".join(printable.split()))


def _fenced(commands: Iterable[str]) -> list[str]:
    """Commands in a block that none of them can end."""
    lines = list(dict.fromkeys(" ".join(command.split()) for command in commands))
    longest = max((len(run) for line in lines for run in re.findall("`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    return [f"{fence}sh", *lines, fence]


def markdown_report(
    settings: Sequence[Setting],
    *,
    title: str,
    table: Table,
    sweeps: Sequence[Sweep] = (),
    unreadable: Mapping[Path, str] | None = None,
) -> str:
    """The tables, the commands that reproduce them, and what became of every run.

    Args:
        settings: as `settings_of` groups them.
        title: of the whole.
        table: of their results.
        sweeps: the effects of swept options.
        unreadable: run folder → why it cannot be read.
    """
    lines = [f"# {_cell(title)}", "", *_with_notes(table), ""]
    for sweep in sweeps:
        lines += [f"## Effects of options: {_cell(sweep.title)}", ""]
        lines += [*_with_notes(effects_table(sweep)), ""]
    runs = [run for setting in settings for run in setting.runs]
    lines += ["## Commands", "", *_fenced(run.command for run in runs), ""]
    lines += ["## Runs", "", run_table(runs), ""]
    if unreadable:
        lines += ["## Unreadable run folders", ""]
        lines += [f"- {_cell(reason)}" for reason in unreadable.values()]
        lines += [""]
    return "\n".join(lines)


def _with_notes(table: Table) -> list[str]:
    return [markdown_table(table), "", *(f"- {_cell(note)}" for note in table.notes)]


def rewrite_readme(readme: str | Path, table: Table) -> None:
    """Replace what stands between the marks for results in a file.

    Raises:
        ReportError: the marks are not there, each once and in their order.
    """
    path = Path(readme)
    text = path.read_text(encoding="utf-8")
    pattern = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}", re.DOTALL)
    if len(pattern.findall(text)) != 1:
        raise ReportError(f"{path}: expected the line {BEGIN} and after it {END}, each once")
    written = "\n".join([BEGIN, *_with_notes(table), END])
    write_text(path, pattern.sub(lambda _: written, text))
