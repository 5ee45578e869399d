"""The report as text: tables in Markdown, also for a README and the end of a sweep."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from flowbench import formatting
from flowbench.atomic_files import write_text
from flowbench.report.collect import ReportError, RunRecord
from flowbench.report.settings import Setting, settings_of
from flowbench.report.table import score_of

__all__ = ["markdown_report", "markdown_table", "rewrite_readme", "run_table"]

BEGIN, END = "<!-- results -->", "<!-- /results -->"


def markdown_table(settings: Sequence[Setting]) -> str:
    """Results beside the published ones, one line per setting."""
    header = ["data", "model", "setting", "seeds", "test log-likelihood"]
    header += ["published", "difference", "parameters", "epochs", "wall time", "samples/s"]
    rule = ["---"] * 3 + ["--:"] * (len(header) - 3)
    lines = [header, rule, *map(_row, settings)]
    hidden = set() if any(setting.name for setting in settings) else {"setting"}
    if not any(setting.published for setting in settings):
        hidden |= {"published", "difference"}
    shown = [place for place, name in enumerate(header) if name not in hidden]
    return "\n".join(f"| {' | '.join(cells[place] for place in shown)} |" for cells in lines)


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
    settings: Sequence[Setting], *, title: str, unreadable: Mapping[Path, str] | None = None
) -> str:
    """The table, the commands that reproduce it, and what became of every run.

    Args:
        settings: as `settings_of` groups them.
        title: of the whole.
        unreadable: run folder → why it cannot be read.
    """
    lines = [f"# {_cell(title)}", "", _explanation(settings), "", markdown_table(settings), ""]
    runs = [run for setting in settings for run in setting.runs]
    lines += ["## Commands", "", *_fenced(run.command for run in runs), ""]
    lines += ["## Runs", "", run_table(runs), ""]
    if unreadable:
        lines += ["## Unreadable run folders", ""]
        lines += [f"- {_cell(reason)}" for reason in unreadable.values()]
        lines += [""]
    return "\n".join(lines)


def rewrite_readme(readme: str | Path, settings: Sequence[Setting]) -> None:
    """Replace what stands between the marks for results in a file.

    Raises:
        ReportError: the marks are not there, each once and in their order.
    """
    path = Path(readme)
    text = path.read_text(encoding="utf-8")
    pattern = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}", re.DOTALL)
    if len(pattern.findall(text)) != 1:
        raise ReportError(f"{path}: expected the line {BEGIN} and after it {END}, each once")
    table = f"{BEGIN}\n{markdown_table(settings)}\n\n{_explanation(settings)}\n{END}"
    write_text(path, pattern.sub(lambda _: table, text))


def _row(setting: Setting) -> list[str]:
    finished, ran = len(setting.finished), len(setting.runs)
    published = setting.published or {}
    difference = ""
    if setting.published:
        signed = formatting.signed(setting.difference, setting.combined_error)
        difference = f"{signed} ({setting.verdict})"
    score = setting.status
    if setting.finished:
        score = formatting.with_error(setting.log_likelihood("test"), setting.two_standard_errors)
    if setting.sd_over_seeds is not None:
        score += f" (sd {formatting.rounded(setting.sd_over_seeds, setting.two_standard_errors)})"
    return [
        _cell(setting.data),
        _cell(setting.model),
        _cell(setting.name),
        str(ran) if finished == ran else f"{finished} of {ran}",
        score,
        formatting.with_error(published.get("mean"), published.get("two_standard_errors")),
        difference or formatting.MISSING,
        formatting.integer(setting.mean("parameters")),
        formatting.integer(setting.mean("epochs")),
        formatting.duration(setting.mean("seconds")),
        formatting.rate(setting.mean("samples_per_second")),
    ]


def _explanation(settings: Sequence[Setting]) -> str:
    sources = dict.fromkeys(s.published["source"] for s in settings if s.published)
    text = (
        "Nats per row in model space (per clip, the sum over its frames, with window=sequence), "
        "± two standard errors over the test rows or clips, sd over seeds; "
        "of densities given labels, log p(x) = log Σ p(x | label) p(label) with the p(label) of "
        "each result; epochs, wall time and rows sampled per second are means over seeds."
    )
    return f"{text} Published: {_cell('; '.join(sources))}." if sources else text
