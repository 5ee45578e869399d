"""Cells of text as numbers."""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow.compute import SetLookupOptions, call_function

from flowbench.data.table.form import MISSING_WORDS, Form
from flowbench.data.table.parts import EXACT

__all__ = ["NumberColumn"]

BOOLEANS = {"true": 1.0, "yes": 1.0, "false": 0.0, "no": 0.0}


class NumberColumn:
    """A column of text that holds numbers; its cells come in pieces.

    If the first cell that is not missing is true, false, yes or no (in any case), all must be;
    they read as 1 and 0.

    Args:
        form: how the text is written.

    Example:
        >>> column = NumberColumn(Form())
        >>> column.read(pa.array(["1.5", " NA", "2 kg"]))
        (array([1.5, nan, nan]), {2: '2 kg'})
    """

    def __init__(self, form: Form) -> None:
        self.decimal: str = form.decimal
        self.missing = pa.array(sorted({"", *MISSING_WORDS, *form.mark_words}))
        self.boolean: bool | None = None  # not known yet

    def read(self, cells: pa.Array) -> tuple[NDArray[np.float64], Mapping[int, str]]:
        """The numbers, NaN where missing or wrong, and the wrong cells by index."""
        cells = call_function("utf8_trim_whitespace", [cells])
        missing = call_function("is_in", [cells], SetLookupOptions(self.missing))
        cells = call_function("if_else", [missing, pa.scalar(None, cells.type), cells])
        if not self.boolean and self.decimal == ".":
            try:
                numbers = cells.cast(pa.float64()).to_numpy(zero_copy_only=False)
            except pa.ArrowInvalid:
                pass
            else:
                if not (np.abs(numbers) > EXACT).any():
                    self.boolean = False if cells.null_count < len(cells) else self.boolean
                    return numbers, {}
        return self._slowly(cells)

    def _slowly(self, cells: pa.Array) -> tuple[NDArray[np.float64], Mapping[int, str]]:
        """Each distinct text by itself."""
        coded = cells.dictionary_encode()
        texts = coded.dictionary.to_pylist()
        if self.boolean is None and texts:
            self.boolean = texts[0].lower() in BOOLEANS
        values = [self._number(text) for text in texts]
        numbers = np.array([*(np.nan if v is None else v for v in values), np.nan])
        codes = coded.indices.fill_null(len(texts)).to_numpy(zero_copy_only=False)
        bad = np.array([*(value is None for value in values), False])
        return numbers[codes], {
            index: texts[codes[index]] for index in np.flatnonzero(bad[codes]).tolist()
        }

    def _number(self, text: str) -> float | None:
        if self.boolean:
            return BOOLEANS.get(text.lower())
        if self.decimal == ",":
            if "." in text:
                return None
            text = text.replace(",", ".", 1)
        if "_" in text or not text.isascii():  # accepted by Python only
            return None
        try:
            number = float(text)
        except ValueError:
            return None
        whole = abs(number) > EXACT and text.lstrip("+-").isdigit()
        return None if whole and int(text) != number else number
