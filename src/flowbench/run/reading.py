"""The files of a run folder, read as what they should be: a folder may come from strangers.

A file is read only if it is a regular one inside of the folder, and not too large.
"""

import io
import json
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml
from numpy.typing import NDArray

from flowbench.exits import WAY_OUT
from flowbench.schema import LARGEST as LARGEST_NUMBER
from flowbench.schema import is_text, problem

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "RunFolderError",
    "read_json",
    "read_picture",
    "read_scores",
    "read_table",
    "read_text",
    "read_yaml",
]

LARGEST = 16 * 2**20  # bytes of a file
MOST_VALUES = 100_000  # of a configuration: YAML can repeat a part without end
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # of libyaml, where it is there
DEEPEST = 50
PNG = b"\x89PNG\r\n\x1a\n"


class RunFolderError(Exception):
    """A run folder, or a file in it, cannot be used."""


def read_text(path: Path) -> str:
    """The text of a file.

    Raises:
        RunFolderError: it is not a regular file of the folder, too large, or not UTF-8.
    """
    try:
        return _content(path).decode("utf-8")
    except UnicodeDecodeError as error:
        raise RunFolderError(f"{path}: not text in UTF-8 ({error.reason}); {WAY_OUT}") from error


def read_json(path: Path, kind: Any) -> Any:
    """The values of a JSON file, of the given type, e.g. `Result`.

    Raises:
        RunFolderError: it cannot be read, or holds something else.
    """
    try:
        values = json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise RunFolderError(f"{path}: not readable as JSON ({error}); {WAY_OUT}") from error
    return _checked(values, kind, path)


def read_yaml(path: Path, kind: Any) -> Any:
    """The values of a YAML file, of the given type, e.g. `Config`.

    Raises:
        RunFolderError: it cannot be read, or holds something else.
    """
    try:
        values = yaml.load(read_text(path), Loader=LOADER)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split()[:30])
        raise RunFolderError(f"{path}: not readable as YAML ({reason}); {WAY_OUT}") from error
    _refuse_other_than_plain(values, path)
    return _checked(values, kind, path)


def read_table(path: Path, *columns: str) -> "pd.DataFrame":
    """The numbers of a CSV file that has these columns.

    Raises:
        RunFolderError: it cannot be read, lacks a column, or holds something else.
    """
    import pandas as pd  # slow to import

    try:
        table = pd.read_csv(io.BytesIO(_content(path)))
    except (ValueError, OverflowError, pd.errors.ParserError) as error:
        reason = " ".join((str(error) or type(error).__name__).split())
        raise RunFolderError(f"{path}: not readable as CSV ({reason}); {WAY_OUT}") from error
    for name in columns:
        if name not in table:
            raise RunFolderError(f"{path}: has no column {name}; {WAY_OUT}")
    for name in table:
        if table[name].dtype.kind not in "fiu":
            raise RunFolderError(f"{path}: the column {name} holds no numbers; {WAY_OUT}")
    return table


def read_scores(path: Path) -> NDArray[np.float64]:
    """The log-likelihoods in a file that `RunFolder.write_test_scores` wrote, `[events]`.

    Raises:
        RunFolderError: it cannot be read, or holds something else.
    """
    try:
        scores = np.load(io.BytesIO(_content(path)), allow_pickle=False)
    except RunFolderError:
        raise
    except Exception as error:  # a damaged header makes numpy raise all kinds of errors
        reason = " ".join(str(error).split()[:30])
        raise RunFolderError(f"{path}: not readable as an array ({reason}); {WAY_OUT}") from error
    is_array = isinstance(scores, np.ndarray) and scores.dtype == np.float64 and scores.ndim == 1
    if not (is_array and len(scores) and (np.abs(scores) < LARGEST_NUMBER).all()):
        raise RunFolderError(f"{path}: holds no finite numbers, one per event; {WAY_OUT}")
    return scores


def read_picture(path: Path) -> bytes:
    """The content of a PNG file.

    Raises:
        RunFolderError: it is not a regular file of the folder, too large, or not a PNG.
    """
    content = _content(path, folder=path.parents[1])
    if not content.startswith(PNG):
        raise RunFolderError(f"{path}: is no PNG")
    return content


def _content(path: Path, *, folder: Path | None = None) -> bytes:
    inside = (folder or path.parent).resolve()
    try:
        if not path.resolve(strict=True).is_relative_to(inside):
            raise RunFolderError(f"{path}: a link that leads out of the run folder")
        file = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))  # a pipe would wait
        with open(file, "rb") as opened:
            found = os.fstat(file)
            if not stat.S_ISREG(found.st_mode):
                raise RunFolderError(f"{path}: is not a regular file")
            if found.st_size > LARGEST:
                raise RunFolderError(
                    f"{path}: has {found.st_size:,} bytes, expected at most {LARGEST:,}"
                )
            return opened.read(LARGEST)
    except (OSError, RuntimeError) as error:  # RuntimeError: links in a circle
        reason = getattr(error, "strerror", None) or "links in a circle"
        raise RunFolderError(f"{path}: {reason}") from error


def _checked(values: Any, kind: Any, path: Path) -> Any:
    if wrong := problem(values, kind):
        raise RunFolderError(f"{path}: {wrong}; {WAY_OUT}")
    return values


def _refuse_other_than_plain(values: Any, path: Path) -> None:
    waiting, count = [(values, 0)], 0
    while waiting:
        (value, depth), count = waiting.pop(), count + 1
        if count > MOST_VALUES:
            raise RunFolderError(f"{path}: has more than {MOST_VALUES:,} values; {WAY_OUT}")
        if depth > DEEPEST:
            raise RunFolderError(f"{path}: is nested more than {DEEPEST} deep; {WAY_OUT}")
        if isinstance(value, dict):
            waiting += [(one, depth + 1) for one in (*value, *value.values())]
        elif isinstance(value, list):
            waiting += [(one, depth + 1) for one in value]
        elif not (is_text(value) or isinstance(value, int | float | None)):
            raise RunFolderError(
                f"{path}: holds a {type(value).__name__}, expected numbers and text; {WAY_OUT}"
            )
