"""The command: read a tree, write the page, the tables and, if asked, the README."""

import sys
from pathlib import Path

from flowbench.atomic_files import replacing, write_text
from flowbench.report.collect import survey
from flowbench.report.page import render_page
from flowbench.report.settings import settings_of
from flowbench.report.table import tidy
from flowbench.report.text import markdown_report, rewrite_readme

__all__ = ["write_report"]


def write_report(
    root: str | Path, *, out: str | Path | None = None, readme: str | Path | None = None
) -> Path:
    """Write `report.html`, `report.md` and `runs.csv`.

    Args:
        root: the tree of run folders; only read.
        out: folder of what is written; None: `<root>/report`.
        readme: a file whose results table is rewritten as well.

    Returns:
        The folder of what was written.

    Raises:
        ReportError: there is no readable run, or the README has no place for results.
    """
    runs, unreadable = survey(root)
    settings = settings_of(runs)
    title = f"Results in {Path(root).absolute().name}"
    folder = Path(root) / "report" if out is None else Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    page = render_page(runs, settings, title=title, unreadable=unreadable)
    write_text(folder / "report.html", page)
    text = markdown_report(settings, title=title, unreadable=unreadable)
    write_text(folder / "report.md", text)
    with replacing(folder / "runs.csv") as part:
        tidy(runs).to_csv(part, index=False)
    if readme is not None:
        rewrite_readme(readme, settings)
    for reason in unreadable.values():
        print(f"left out: {reason}", file=sys.stderr)
    return folder
