"""The user's marks for missing values, in tables of every format."""

import numpy as np

from flowbench.data.table.form import Form
from flowbench.data.table.parts import Piece

__all__ = ["without_marks"]


def without_marks(piece: Piece, form: Form) -> Piece:
    """Rows with the marked values as missing ones.

    Example:
        >>> piece = Piece(np.array([[1.0], [-999.0]]), [["?", "a"]])
        >>> marked = without_marks(piece, Form(missing=["?", -999]))
        >>> marked.numbers.tolist(), marked.texts
        ([[1.0], [nan]], [[None, 'a']])
    """
    if not form.marks:
        return piece
    marked = np.isin(piece.numbers, np.array(form.mark_numbers, piece.numbers.dtype))
    numbers = np.where(marked, np.array(np.nan, piece.numbers.dtype), piece.numbers)
    texts = [
        [None if text and form.is_marked_label(text) else text for text in column]
        for column in piece.texts
    ]
    return Piece(numbers, texts, piece.wrong)
