"""The command: read a tree, write the page, the tables and, if asked, the README."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from flowbench.atomic_files import replacing, write_text
from flowbench.report.collect import ReportError, RunRecord, survey
from flowbench.report.effects import Sweep, sweeps
from flowbench.report.latex import latex_table
from flowbench.report.page import render_page
from flowbench.report.pictures import Pictures
from flowbench.report.results import Table, results_table
from flowbench.report.settings import Setting, settings_of
from flowbench.report.table import tidy
from flowbench.report.text import markdown_report, rewrite_readme

__all__ = ["FORMATS", "write_report"]


@dataclass(frozen=True, kw_only=True)
class _Report:
    """What every format is written from."""

    title: str
    runs: Sequence[RunRecord]
    unreadable: dict[Path, str]

    @cached_property
    def settings(self) -> list[Setting]:
        return settings_of(self.runs)

    @cached_property
    def table(self) -> Table:
        return results_table(self.settings)

    @cached_property
    def sweeps(self) -> list[Sweep]:
        return list(sweeps(self.settings))


def write_report(
    root: str | Path,
    *,
    out: str | Path | None = None,
    formats: Sequence[str] = ("html", "md", "csv", "latex"),
    readme: str | Path | None = None,
) -> Path:
    """Write `report.html` with its pictures in `report_files`, `report.md`, `.tex`, `runs.csv`.

    Args:
        root: the tree of run folders; only read.
        out: folder of what is written; None: `<root>/report`.
        formats: some of `FORMATS`.
        readme: a file whose results table is rewritten as well.

    Returns:
        The folder of what was written.

    Raises:
        ReportError: there is no readable run, the README has no place for results, or
            `<root>/report` is a link.
    """
    runs, unreadable = survey(root)
    title = f"Results in {Path(root).absolute().name}"
    report = _Report(title=title, runs=runs, unreadable=unreadable)
    folder = Path(root) / "report" if out is None else Path(out)
    if out is None and folder.is_symlink():
        raise ReportError(f"{folder}: is a link; remove it, or name a folder with --out")
    folder.mkdir(parents=True, exist_ok=True)
    for name in formats:
        file, write = FORMATS[name]
        write(report, folder / file)
    if readme is not None:
        rewrite_readme(readme, results_table(report.settings, brief=True))
    for reason in unreadable.values():
        print(f"left out: {reason}", file=sys.stderr)
    return folder


def _html(report: _Report, path: Path) -> None:
    """The page replaces the former one when all its pictures are there; only then others go."""
    pictures = Pictures(path)
    former = pictures.former()
    page = render_page(
        report.runs, report.settings, title=report.title, table=report.table,
        sweeps=report.sweeps, unreadable=report.unreadable, picture=pictures.add,
    )  # fmt: skip
    write_text(path, page)
    pictures.remove(former)


def _markdown(report: _Report, path: Path) -> None:
    text = markdown_report(
        report.settings, title=report.title, table=report.table, sweeps=report.sweeps,
        unreadable=report.unreadable,
    )  # fmt: skip
    write_text(path, text)


def _csv(report: _Report, path: Path) -> None:
    with replacing(path) as part:
        tidy(report.runs).to_csv(part, index=False)


def _latex(report: _Report, path: Path) -> None:
    write_text(path, latex_table(report.table) + "\n")


# Name → the file, and what writes it.
FORMATS: dict[str, tuple[str, Callable[[_Report, Path], None]]] = {
    "html": ("report.html", _html),
    "md": ("report.md", _markdown),
    "csv": ("runs.csv", _csv),
    "latex": ("report.tex", _latex),
}
