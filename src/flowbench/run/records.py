"""The files of a run folder, read as what they should be: a folder may come from strangers.

A file is read only if it is a regular one inside of the folder, and not too large.
"""

import io
import json
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NotRequired, TypedDict

import numpy as np
import yaml
from numpy.typing import NDArray

from flowbench.schema import LARGEST as LARGEST_NUMBER
from flowbench.schema import is_text, problem

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "Config",
    "Data",
    "Failure",
    "Pruned",
    "Result",
    "RunFolderError",
    "read_json",
    "read_picture",
    "read_scores",
    "read_table",
    "read_text",
    "read_yaml",
]

WAY_OUT = "restore it, or start over with overwrite=true"
LARGEST = 16 * 2**20  # bytes of a file
MOST_VALUES = 100_000  # of a configuration: YAML can repeat a part without end
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # of libyaml, where it is there
DEEPEST = 50
PNG = b"\x89PNG\r\n\x1a\n"


class RunFolderError(Exception):
    """A run folder, or a file in it, cannot be used."""


class Statistics(TypedDict):
    """A score, see `evaluation.score.Score`."""

    mean: float
    two_standard_errors: NotRequired[float | None]
    median: NotRequired[float | None]
    quantile_1_percent: NotRequired[float | None]
    min: NotRequired[float | None]
    trimmed_mean: NotRequired[float | None]
    share_of_ten: NotRequired[float | None]
    n: int


class Spaces(TypedDict):
    """A score in both spaces."""

    model_space: Statistics
    data_space: Statistics


class Separation(TypedDict):
    """How well scores separate two labels."""

    auroc: float
    average_precision: float


class Label(TypedDict):
    """The score of the clips of a label."""

    mean: float
    two_standard_errors: float
    auroc: NotRequired[float]
    average_precision: NotRequired[float]


class Separations(TypedDict):
    """How well scores separate a label from the others."""

    learnt: str
    labels: dict[str, Label]
    above: int
    mean_auroc: float
    worst_auroc: float
    others: Separation


class Background(Separations):
    """What `evaluation.background` says."""

    run: str


class Anomaly(Separations):
    """What `evaluation.anomaly` says."""

    unit: str
    background: NotRequired[Background]


class Block(TypedDict):
    """What `evaluation.evaluate` says of a split."""

    log_likelihood: Spaces
    rows_per_event: NotRequired[int]
    bits_per_dim: NotRequired[float | None]
    exact: NotRequired[float | None]
    accuracy: NotRequired[float | None]
    marginal: NotRequired[Spaces]
    anomaly: NotRequired[Anomaly]
    measure: NotRequired[str]


class Coverage(TypedDict):
    """The share of rows in a region of highest density."""

    level: float
    share: float
    two_standard_errors: float


class TwoSample(TypedDict):
    """How well a classifier tells samples from rows."""

    auroc: float
    two_standard_errors: float


class Context(TypedDict):
    """The same in a context."""

    context: str
    ks_max: float
    feature: str
    p_value: float


class Uniformity(TypedDict):
    """What `evaluation.uniformity` says."""

    of: str
    rows: int
    ks_max: float
    feature: str
    p_value: float
    contexts: list[Context]


class Calibration(TypedDict):
    """What `evaluation.calibration` says."""

    rows: int
    coverage: list[Coverage]
    two_sample: TwoSample | None
    uniformity: NotRequired[Uniformity | None]


class Published(TypedDict):
    """A published result."""

    source: str
    model: str
    mean: float
    two_standard_errors: float | None


class Entry(TypedDict):
    """How an entry of a race stands."""

    name: str
    seconds: float
    epochs: int
    val: float | None
    status: str
    why: str
    folds: NotRequired[int]


class Baseline(TypedDict):
    """A baseline of a race on test rows, and how far the winner is ahead of it."""

    name: str
    test: Statistics
    ahead: Statistics


class RaceRecord(TypedDict):
    """A race between models."""

    minutes: float
    seconds: NotRequired[float]
    folds: NotRequired[int]
    johnson: NotRequired[list[str]]
    score: NotRequired[Statistics]
    chosen: dict[str, float]
    entries: list[Entry]
    baselines: list[Baseline]


Step = TypedDict(
    "Step", {"step": float, "train": float, "test": float, "base/train": float, "base/test": float}
)


class PublishedStep(TypedDict):
    step: float


class PublishedSteps(TypedDict):
    """The ends of a published curve."""

    untrained: dict[str, float]
    last: PublishedStep


class Steps(TypedDict):
    """The ends of a curve by optimiser step."""

    untrained: Step
    last: Step
    published: PublishedSteps | None


class Result(TypedDict):
    """`result.json`."""

    data: str
    model: str
    seed: int
    status: Literal["finished"]
    parameters: int
    epochs: int
    best_epoch: int
    seconds: float | None
    samples_per_second: float
    test: Block
    val: Block
    calibration: NotRequired[Calibration | None]
    race: NotRequired[RaceRecord]
    published: Published | None
    steps: NotRequired[Steps | None]
    test_rows_sha256: NotRequired[str]
    knows_lattice: NotRequired[bool]
    measure: NotRequired[str]
    deviations: NotRequired[list[str]]
    cpu_seconds: NotRequired[float | None]
    peak_memory_bytes: NotRequired[int | None]
    device: NotRequired[str]
    threads: NotRequired[int]


class Named(TypedDict):
    """A section that has a name."""

    name: NotRequired[str]


class Source(TypedDict):
    """The published result that a configuration names."""

    source: str


class Config(TypedDict):
    """`config.yaml`, as far as others read it."""

    seed: NotRequired[int]
    model: NotRequired[Named]
    data: NotRequired[Named]
    training: NotRequired[dict[str, Any]]
    trainer: NotRequired[dict[str, Any]]
    published: NotRequired[Source | None]


class Failure(TypedDict):
    """`error.json`."""

    error: str
    command: str


class Data(TypedDict):
    """`data.json`."""

    sha256: str


class Pruned(TypedDict):
    """`pruned.json`."""

    epoch: int


def read_text(path: Path) -> str:
    """The text of a file.

    Raises:
        RunFolderError: it is no regular file of the folder, too large, or not UTF-8.
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
        RunFolderError: it is no regular file of the folder, too large, or no PNG.
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
                raise RunFolderError(f"{path}: is no regular file")
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
