"""The table of results in LaTeX, to be pasted into a paper that uses booktabs."""

import re
from collections.abc import Iterable

from flowbench.report.results import Cell, Table

__all__ = ["latex_table"]

SPECIAL = {character: f"\\{character}" for character in "&%$#_{}"}
SPECIAL |= {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
SPECIAL |= {
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
}
SPECIAL |= {"`": r"\textasciigrave{}", "—": "---", "–": "--", "·": r"\textperiodcentered{}"}
SPECIAL |= {"−": "$-$", "±": r"$\pm$", "√": r"$\surd$", "Σ": r"$\Sigma$", "≤": r"$\le$"}
SPECIAL |= {"²": "$^2$", "†": r"$^\dagger$", "‡": r"$^\ddagger$", "§": r"\S{}", "α": r"$\alpha$"}
NUMBER = re.compile(r"[−+]?[\d,]+(\.\d+)?(e[−+]?\d+)?( ± [\d,]+(\.\d+)?)?(?= [(§]|$)")


def latex_table(table: Table) -> str:
    r"""A `tabular` with rules of booktabs, and its notes as comments above it.

    Names that other people have chosen are escaped: they cannot start a command.

    Example:
        >>> line = [Cell("a_b & c"), Cell("−3.53 ± 0.01 (sd 0.02)", -3.53)]
        >>> headings = ["data", "test (nats)"]
        >>> print(latex_table(Table(headings=headings, words=1, lines=[line], notes=["In nats."])))
        % \usepackage{booktabs}
        % In nats.
        \begin{tabular}{lr}
        \toprule
        data & test (nats) \\
        \midrule
        a\_b \& c & $-3.53 \pm 0.01$ (sd 0.02) \\
        \bottomrule
        \end{tabular}
    """
    numbers = len(table.headings) - table.words
    lines = [r"% \usepackage{booktabs}", *(f"% {_one_line(note)}" for note in table.notes)]
    lines += [f"\\begin{{tabular}}{{{'l' * table.words}{'r' * numbers}}}", r"\toprule"]
    lines += [_row(map(_escaped, table.headings)), r"\midrule"]
    for cells in table.lines:
        words = [_escaped(cell.text) for cell in cells[: table.words]]
        lines.append(_row([*words, *map(_number, cells[table.words :])]))
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"])


def _row(cells: Iterable[str]) -> str:
    return f"{' & '.join(cells)} \\\\"


def _number(cell: Cell) -> str:
    """A number in mathematics, and what stands behind it as text."""
    if not (found := NUMBER.match(cell.text)):
        return _escaped(cell.text)
    number = found[0].replace("−", "-").replace(",", "{,}").replace("±", r"\pm")
    return f"${number}$ {_escaped(cell.text[found.end() :])}".rstrip()


def _one_line(text: str) -> str:
    return " ".join("".join(one if one.isprintable() else " " for one in text).split())


def _escaped(text: str) -> str:
    return "".join(SPECIAL.get(character, character) for character in _one_line(text))
