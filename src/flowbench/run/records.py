"""What the files of a run folder hold, as types; files may have further keys."""

from typing import Any, Literal, NotRequired, TypedDict

__all__ = ["Config", "Data", "Failure", "Pruned", "Result"]


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
