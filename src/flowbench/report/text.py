"""The report as text: a table in Markdown, also for a README."""

import re
from collections.abc import Sequence
from pathlib import Path

from flowbench.report import numbers
from flowbench.report.collect import ReportError
from flowbench.report.settings import Setting

__all__ = ["markdown_report", "markdown_table", "rewrite_readme"]

BEGIN, END = "<!-- results -->", "<!-- /results -->"


def markdown_table(settings: Sequence[Setting]) -> str:
    """Results beside the published ones, one line per setting."""
    names = any(setting.name for setting in settings)
    header = ["data", "model", *(["setting"] if names else []), "seeds", "test log-likelihood"]
    header += ["published", "difference", "parameters", "epochs", "wall time", "samples/s"]
    rows = [_row(setting, names=names) for setting in settings]
    left = 3 if names else 2
    rule = ["---"] * left + ["--:"] * (len(header) - left)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, rule, *rows))


def markdown_report(settings: Sequence[Setting], *, title: str) -> str:
    """The table, the commands that reproduce it, and what went wrong."""
    lines = [f"# {title}", "", _explanation(settings), "", markdown_table(settings), ""]
    lines += ["## Commands", "", "```sh"]
    lines += dict.fromkeys(run.command for setting in settings for run in setting.runs)
    lines += ["```", ""]
    failures = [run for setting in settings for run in setting.runs if run.error]
    if failures:
        lines += ["## Failures", ""]
        lines += [f"- `{run.path.as_posix()}`: {run.error}" for run in failures]
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
    path.write_text(pattern.sub(lambda _: table, text), encoding="utf-8")


def _row(setting: Setting, *, names: bool) -> list[str]:
    finished, ran = len(setting.finished), len(setting.runs)
    published = setting.published or {}
    difference = ""
    if setting.published:
        signed = numbers.signed(setting.difference, setting.combined_error)
        difference = f"{signed} ({setting.verdict})"
    score = setting.status
    if setting.finished:
        score = numbers.with_error(setting.log_likelihood("test"), setting.two_standard_errors)
    if setting.sd_over_seeds is not None:
        score += f" (sd {numbers.plain(setting.sd_over_seeds, setting.two_standard_errors)})"
    return [
        setting.data,
        setting.model,
        *([setting.name.replace("|", "\\|")] if names else []),
        str(ran) if finished == ran else f"{finished} of {ran}",
        score,
        numbers.with_error(published.get("mean"), published.get("two_standard_errors")),
        difference or numbers.MISSING,
        numbers.integer(setting.mean("parameters")),
        numbers.integer(setting.mean("epochs")),
        numbers.duration(setting.mean("seconds")),
        numbers.rate(setting.mean("samples_per_second")),
    ]


def _explanation(settings: Sequence[Setting]) -> str:
    sources = dict.fromkeys(s.published["source"] for s in settings if s.published)
    text = (
        "Nats per row in model space, ± two standard errors over the test rows, sd over seeds; "
        "of densities given labels, log p(x) = log Σ p(x | label) p(label); epochs, wall time and "
        "samples per second are means over seeds."
    )
    return f"{text} Published: {'; '.join(sources)}." if sources else text
