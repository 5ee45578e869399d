"""How a table is written: the options of reading it."""

import codecs
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal, NamedTuple, NoReturn

from typing_extensions import TypeAliasType

from flowbench.config.checked import Checked
from flowbench.config.limits import AtLeastOne, AtLeastZero
from flowbench.config.options import options_of
from flowbench.data.options import DataError
from flowbench.data.text import is_number

__all__ = ["MISSING_WORDS", "Form"]

MISSING_WORDS = frozenset(
    "#N/A|#N/A N/A|#NA|-1.#IND|-1.#QNAN|-NaN|-nan|1.#IND|1.#QNAN|N/A|NA|NULL|NaN|None|n/a|nan|"
    "null|<NA>".split("|")
)
SEPARATORS = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|", "whitespace": " "}
BYTE_ORDER_MARKS = (codecs.BOM_UTF8, codecs.BOM_UTF16, codecs.BOM_UTF32)


def _is_separator(text: str) -> bool:
    one = _character(text)
    return len(one) == 1 and one.isascii() and not one.isalnum() and one not in '"\n\r'


def _is_encoding(name: str) -> bool:
    try:
        return "".encode(name) in (b"", *BYTE_ORDER_MARKS)
    except (LookupError, ValueError, TypeError):
        return False


class _Limit(NamedTuple):
    func: Callable[[str], bool]
    told: str


Separator = TypeAliasType(
    "Separator",
    Annotated[str, _Limit(_is_separator, f"that is {', '.join(SEPARATORS)} or one character")],
)
Encoding = TypeAliasType(
    "Encoding",
    Annotated[str, _Limit(_is_encoding, "such as utf-8, latin-1, cp1252 or utf-16")],
)


class Form(Checked):
    """How a table is written.

    Args:
        missing: how to treat rows with missing values: `refuse` the table, or `drop` them, or
            `marginalize`: keep them, with the density of the cells that are there, for the models
            gaussian and gaussian_mixture. (Rows without any modelled value, or without a context,
            a label or a weight, are dropped then.) In text, blanks and words such as NA, NaN and
            null count as missing. A list of marks, e.g. ["?", -999], also drops rows, those with a
            mark included; in columns of labels, only blanks and these marks are then missing.
            [marginalize, "?"] keeps rows with marks.
        separator: what separates the columns of text: `comma`, `semicolon`, `tab`, `pipe`,
            `whitespace` (one or several blanks or tabs), or a character; None: a tab in `.tsv`,
            whitespace in `.dat`, otherwise a comma.
        decimal: the mark before decimals: `point` or `comma`, or the character itself.
        header: the line of text or of a sheet that names the columns, counted from 1 after those
            skipped; lines above it are ignored. `none`: the columns are numbered from 0.
        skip_lines: number of lines to skip at the top of text or of a sheet, or the numbers of
            lines to skip, from 1.
        encoding: of text, as Python names it.

    Raises:
        DataError: the separator is the mark before decimals.

    Example:
        >>> form = Form(missing=["?", -999], separator="semicolon", decimal=",")
        >>> form.separator, form.decimal, form.drops, form.mark_numbers
        (';', ',', True, [-999.0])
    """

    def __init__(
        self,
        *,
        missing: Literal["refuse", "drop", "marginalize"] | Sequence[str | float] = "refuse",
        separator: Separator | None = None,
        decimal: Literal["point", "comma", ".", ","] = "point",
        header: AtLeastOne | Literal["none"] = 1,
        skip_lines: AtLeastZero | Sequence[AtLeastOne] = 0,
        encoding: Encoding = "utf-8",
    ) -> None:
        listed = None if isinstance(missing, str) else list(missing)
        self.marginalizes: bool = "marginalize" in (listed or [missing])
        self.marks: list[str | float] | None = (
            None if listed is None else [one for one in listed if one != "marginalize"]
        )
        self.drops: bool = missing != "refuse"
        self.separator: str | None = None if separator is None else _character(separator)
        self.decimal = "," if decimal in ("comma", ",") else "."
        self.header: int | None = None if header == "none" else int(header)
        self.skip_lines = skip_lines
        self.encoding: str = codecs.lookup(encoding).name
        if self.decimal == self.separator:
            raise DataError(
                f"data.separator={separator} and data.decimal={decimal}: expected two characters"
            )

    def without_effect(self, *, text: bool, sheet: bool) -> list[str]:
        """The options given that say nothing about a file that is not text, or no sheet either."""
        other = vars(Form())
        options = {"separator": text, "decimal": text, "encoding": text}
        options |= {"header": text or sheet, "skip_lines": text or sheet}
        return [
            name
            for name, counts in options.items()
            if not counts and getattr(self, name) != other[name]
        ]

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> "Form":
        """The form that the options of a table, or some of them, describe."""
        return cls(**{name: options[name] for name in options_of(cls) if name in options})

    @classmethod
    def of_scored(cls, options: Mapping[str, Any]) -> "Form":
        """The form of a file to score: that of the table, its missing values not refused."""
        form = cls.of(options)
        form.drops = True
        return form

    @classmethod
    def _refuse(cls, problems: list[str]) -> NoReturn:
        raise DataError("\n".join(f"data.{problem}" for problem in problems))

    @property
    def mark_words(self) -> frozenset[str]:
        """The marks for missing values as text."""
        return frozenset(str(mark) for mark in self.marks or [])

    @property
    def mark_numbers(self) -> list[float]:
        """The marks for missing values that are numbers."""
        return [float(mark) for mark in self.marks or [] if _is_any_number(mark)]

    def is_missing_label(self, label: str) -> bool:
        """Whether a label in text stands for a missing one."""
        words = MISSING_WORDS if self.drops and self.marks is None else ()
        return not label or label in words or self.is_marked_label(label)

    def is_marked_label(self, label: str) -> bool:
        """Whether a label is one of the marks; numbers count as such."""
        marked = is_number(label) and float(label) in self.mark_numbers
        return marked or label in self.mark_words

    def is_doubtful_label(self, label: str) -> bool:
        """Whether a label in text may be a word for a missing one, which must be decided."""
        return not self.drops and label in MISSING_WORDS


def _is_any_number(mark: str | float) -> bool:
    return not isinstance(mark, str) or is_number(mark) or mark.lower() in ("inf", "-inf")


def _character(separator: str) -> str:
    return SEPARATORS.get(separator, "\t" if separator == "\\t" else separator)
