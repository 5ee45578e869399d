"""The table of results, one line per setting, for every format."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from flowbench import formatting
from flowbench.formatting import MISSING
from flowbench.report.leaders import Behind, behind_leaders
from flowbench.report.settings import Setting

__all__ = ["Cell", "Table", "results_table"]

MARK, BESIDE, FEW = "†", "‡", "§"
EXPLANATION = (
    "Test log-likelihoods are means in nats per row (per clip, the sum over its frames, with "
    "window=sequence), in model space, ± two standard errors over the test rows or clips; sd: "
    "standard deviation over seeds; of densities given labels, log p(x) = log Σ p(x | label) "
    "p(label) with the p(label) of each result. Other numbers are means over seeds; wall time is "
    "of the training, CPU time of the whole run."
)
LEADER = (
    "The leader has the highest validation log-likelihood on its data; differences to it are "
    "means of row-wise differences in nats, over the test rows that both have scored, ± two "
    "standard errors over rows and seeds"
)
WITHIN = (
    "A difference is within error where |ours − published| ≤ √(e² + p² + (2 sd/√n)²), e and p "
    "being two standard errors, ours and the published, and n the number of seeds."
)
LATTICE = (
    f"{MARK}: the model knows the lattice on which the data lie; the flows of the papers do not, "
    "so their scores are not directly comparable."
)
MEASURES = (
    "Scores with respect to different measures (probabilities of points, or densities) are not "
    "comparable: each measure has a ranking of its own."
)


@dataclass(frozen=True)
class Cell:
    """What stands in a line and a column.

    Attributes:
        text: as people read it; a remark in brackets at its end.
        value: by which lines are sorted; None where there is none.
    """

    text: str
    value: float | None = None


@dataclass(frozen=True, kw_only=True)
class Table:
    """Cells below headings.

    Attributes:
        headings: with units, in their order.
        words: how many of the first columns hold words, not numbers.
        lines: cells, one per heading.
        notes: sentences that a reader needs beside the table.
    """

    headings: list[str]
    words: int
    lines: list[list[Cell]]
    notes: list[str]


def results_table(settings: Sequence[Setting], *, brief: bool = False) -> Table:
    """The results beside their leaders and the published ones; columns without content left out.

    Args:
        settings: in the order of the lines.
        brief: with a few of the columns, and settings only where they tell lines apart.
    """
    behind = behind_leaders(settings)
    left_out = set(COLUMNS) - BRIEF if brief else set()
    if len({(setting.ranking, setting.model) for setting in settings}) < len(settings):
        left_out -= {"setting"}
    columns = {
        heading: [column(*pair) for pair in zip(settings, behind, strict=True)]
        for heading, column in COLUMNS.items()
        if heading not in left_out
    }
    shown = {
        heading: cells
        for heading, cells in columns.items()
        if any(cell.text not in ("", MISSING) for cell in cells)
    }
    return Table(
        headings=list(shown),
        words=sum(heading in shown for heading in WORDS),
        lines=[list(line) for line in zip(*shown.values(), strict=True)],
        notes=_notes(settings, behind, shown),
    )


def _test(setting: Setting, _: Behind | None) -> Cell:
    if not setting.finished:
        return Cell(setting.status)
    value, error = setting.log_likelihood("test"), setting.two_standard_errors
    text = formatting.with_error(value, error) + (f" {FEW}" if setting.decided_by_few else "")
    if setting.sd_over_seeds is not None:
        text += f" (sd {formatting.rounded(setting.sd_over_seeds, error)})"
    return Cell(text, value)


def _behind(_: Setting, behind: Behind | None) -> Cell:
    if behind is None:
        return Cell(MISSING)
    if behind.mean is None:
        return Cell("leader", 0.0)
    error = behind.two_standard_errors
    text = f"{formatting.signed(behind.mean, error)} ± {formatting.rounded(error, error)}"
    return Cell(text + (" (unpaired)" if behind.unpaired else ""), behind.mean)


def _published(setting: Setting, _: Behind | None) -> Cell:
    known = setting.published or {}
    mean = known.get("mean")
    return Cell(formatting.with_error(mean, known.get("two_standard_errors")), mean)


def _difference(setting: Setting, _: Behind | None) -> Cell:
    if setting.difference is None:
        return Cell(MISSING)
    signed = formatting.signed(setting.difference, setting.combined_error)
    return Cell(f"{signed} ({setting.verdict})", setting.difference)


def _seeds(setting: Setting, _: Behind | None) -> Cell:
    finished, ran = len(setting.finished), len(setting.runs)
    return Cell(str(ran) if finished == ran else f"{finished} of {ran}", finished)


def _model(setting: Setting, _: Behind | None) -> Cell:
    marks = {MARK: setting.knows_lattice, BESIDE: setting.deviations}
    return Cell(" ".join([setting.model, *(mark for mark, applies in marks.items() if applies)]))


def _mean(*path: str, text: Callable[[float | None], str]) -> Callable[..., Cell]:
    """A column of means over seeds of a number in `result.json`."""

    def column(setting: Setting, _: Behind | None) -> Cell:
        value = setting.mean(*path)
        return Cell(text(value), value)

    return column


def _places(digits: int) -> Callable[[float | None], str]:
    return lambda value: MISSING if value is None else f"{value:z.{digits}f}".replace("-", "−")


COLUMNS: dict[str, Callable[[Setting, Behind | None], Cell]] = {
    "data": lambda setting, _: Cell(setting.ranking),
    "model": _model,
    "setting": lambda setting, _: Cell(setting.name),
    "seeds": _seeds,
    "test log-likelihood (nats)": _test,
    "to the leader (nats)": _behind,
    "published (nats)": _published,
    "difference (nats)": _difference,
    "bits/dim": _mean("test", "bits_per_dim", text=_places(4)),
    "accuracy": _mean("test", "accuracy", text=_places(3)),
    "AUROC": _mean("test", "anomaly", "mean_auroc", text=_places(3)),
    "worst AUROC": _mean("test", "anomaly", "worst_auroc", text=_places(3)),
    "AUROC less background": _mean("test", "anomaly", "background", "mean_auroc", text=_places(3)),
    "parameters": _mean("parameters", text=formatting.integer),
    "epochs": _mean("epochs", text=formatting.integer),
    "wall time": _mean("seconds", text=formatting.duration),
    "CPU time": _mean("cpu_seconds", text=formatting.duration),
    "peak memory (MB)": _mean(
        "peak_memory_bytes", text=lambda v: formatting.integer(None if v is None else v / 1e6)
    ),
    "samples/s": _mean("samples_per_second", text=formatting.rate),
}
WORDS = ("data", "model", "setting")
BRIEF = {
    *("data", "model", "seeds", "test log-likelihood (nats)", "to the leader (nats)"),
    *("published (nats)", "difference (nats)", "bits/dim", "parameters", "CPU time"),
}
LISTED = 20  # settings whose means few rows decide


def _notes(
    settings: Sequence[Setting], behind: Sequence[Behind | None], shown: dict[str, list[Cell]]
) -> list[str]:
    notes = [EXPLANATION]
    reasons = Counter(one.unpaired for one in behind if one and one.unpaired)
    if any(cell.text == "leader" for cell in shown.get("to the leader (nats)", [])):
        told = ", ".join(f"{reason} ({count})" for reason, count in reasons.items())
        unpaired = f"; unpaired ones are differences of two means: {told}" if reasons else ""
        notes.append(f"{LEADER}{unpaired}.")
    if sources := dict.fromkeys(s.published["source"] for s in settings if s.published):
        notes += [f"Published: {'; '.join(sources)}.", WITHIN]
    if any(setting.knows_lattice for setting in settings):
        notes.append(LATTICE)
    notes += _beside_protocols(settings)
    notes += _decided_by_few(settings)
    if len({setting.measure for setting in settings}) > 1:
        notes.append(MEASURES)
    return notes


def _beside_protocols(settings: Sequence[Setting]) -> list[str]:
    told = {_called(one): ", ".join(one.deviations) for one in settings if one.deviations}
    listed = "; ".join(f"{name}: {text}" for name, text in told.items())
    return [f"{BESIDE}: not as its protocol: {listed}."] if told else []


def _decided_by_few(settings: Sequence[Setting]) -> list[str]:
    told = []
    for setting in settings:
        for score in setting.decided_by_few[:1]:
            known = {"trimmed mean": score.trimmed_mean, "median": score.median, "min": score.min}
            numbers = ", ".join(
                f"{name} {formatting.with_error(value, None)}" for name, value in known.items()
            )
            share = "most" if score.share_of_ten is None else f"{score.share_of_ten:.0%}"
            told.append(f"{_called(setting)}: {share}, {numbers}")
    if not told:
        return []
    if (more := len(told) - LISTED) > 0:
        told[LISTED:] = [f"and {more} more"]
    return [
        f"{FEW}: ten of the test rows make up more than half of the variance, so that others "
        f"would give another mean: {'; '.join(told)}."
    ]


def _called(setting: Setting) -> str:
    return " ".join(filter(None, [setting.model, "on", setting.ranking, setting.name]))
