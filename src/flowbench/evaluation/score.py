"""The record of a score: log-likelihoods of events, summed up."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Self

from flowbench.formatting import estimate, fixed

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["SPACES", "Score", "reported", "score_in", "statistics", "summarize"]

SPACES = ("model_space", "data_space")
FEW = 10  # events that should not decide a mean


def _listed(label: str) -> Any:
    """A statistic that is listed behind the mean, under this label."""
    return field(default=None, metadata={"label": label})


@dataclass(frozen=True, kw_only=True)
class Score:
    r"""Statistics of log-likelihoods, in nats, of one split in one space.

    A new statistic is one field here and its formula in `of`: the screen, `result.json`, the
    report and the tables of loggers follow.

    Attributes:
        mean: over the events.
        two_standard_errors: of the mean, 2 s / √n, as in the tables of the literature; with
            weights, 2 √(Σw²(l − l̄)²) / Σw; None where it was not published.
        median: of the events, the lower one of two.
        quantile_1_percent: 1 % of the events lie below it.
        min: the lowest.
        trimmed_mean: without the lowest and the highest 1 % of the events.
        share_of_ten: the part of the sum of squares behind the error that is due to the ten
            events farthest from the mean.
        n: how many events there are.
        rows_per_event: 1, or the rows of a clip, one per frame, whose log-likelihoods add up.

    Example:
        >>> import torch
        >>> score = Score.of(torch.tensor([1.0, 2.0, 3.0, 4.0]))
        >>> print(score.text())
        2.5000 ± 1.2910 nats
        >>> print(score.details())
        4 rows; median 2.0000, 1 % 1.0000, min 1.0000
        >>> print(Score.of(torch.tensor([1.0, 4.0]), weight=torch.tensor([2.0, 1.0])).text())
        2.0000 ± 1.8856 nats
    """

    mean: float
    two_standard_errors: float | None = None
    median: float | None = _listed("median")
    quantile_1_percent: float | None = _listed("1 %")
    min: float | None = _listed("min")
    trimmed_mean: float | None = None
    share_of_ten: float | None = None
    n: int | None = None
    rows_per_event: int = 1

    @classmethod
    def of(
        cls, terms: "Tensor", *, weight: "Tensor | None" = None, rows_per_event: int = 1
    ) -> Self:
        """Sum up log-likelihoods.

        Sums are rounded once, so that they depend on the values alone, not on threads or the
        order of the terms.

        Args:
            terms: one per event, in nats, `[events]`.
            weight: how much each event counts, of any scale; None: all the same.
            rows_per_event: as the attribute.
        """
        terms = terms.double()
        n = len(terms)
        if weight is None:
            mean = math.fsum(terms.tolist()) / n
            parts = (terms - mean).square() / (max(1, n - 1) * n)
            places = [(n - 1) // 2, (n - 1) // 100]
            share = terms.new_full((n,), 1 / n)
        else:
            share = weight.double().cpu() / math.fsum(weight.tolist())
            mean = math.fsum((share * terms).tolist())
            parts = (share * (terms - mean)).square()
            ends = share[terms.argsort()].cumsum(0)
            places = [int((ends < level).sum().clamp_max(n - 1)) for level in (0.5, 0.01)]
        squares = math.fsum(parts.tolist())
        ordered, order = terms.sort()
        kept = slice(n // 100, n - n // 100)
        counts = share[order][kept]
        return cls(
            mean=mean,
            two_standard_errors=2 * math.sqrt(squares),
            median=ordered[places[0]].item(),
            quantile_1_percent=ordered[places[1]].item(),
            min=ordered[0].item(),
            trimmed_mean=math.fsum((counts * ordered[kept]).tolist()) / math.fsum(counts.tolist()),
            share_of_ten=_share_of_few(parts, squares),
            n=n,
            rows_per_event=rows_per_event,
        )

    @classmethod
    def parse(cls, values: Mapping[str, Any], *, rows_per_event: int = 1) -> Self:
        """A score from its statistics in `result.json`, or from a published result."""
        known = {name: values[name] for name in statistics() if name in values}
        return cls(**known, rows_per_event=rows_per_event)

    def json(self) -> dict[str, float]:
        """The statistics as `result.json` has them."""
        return {name: getattr(self, name) for name in statistics()}

    @property
    def decided_by_few(self) -> bool:
        """Whether ten events make up more than half of the squares behind the error.

        Another ten could then give another mean, and the error does not tell by how much.

        Example:
            >>> import torch
            >>> terms = torch.linspace(-1, 1, 1000)
            >>> Score.of(terms).decided_by_few
            False
            >>> terms[:3] = -50.0
            >>> Score.of(terms).decided_by_few
            True
        """
        few = (self.share_of_ten or 0.0) > 0.5 and (self.n or FEW) > FEW
        return self.runs_away or few

    @property
    def runs_away(self) -> bool:
        """Whether the mean lies below the 1 % quantile, so that it says nothing of other events.

        Example:
            >>> Score(mean=-1e9, median=2.0, quantile_1_percent=-3.0, n=1000).runs_away
            True
        """
        return self.quantile_1_percent is not None and self.mean < self.quantile_1_percent

    @property
    def event(self) -> str:
        """What each log-likelihood belongs to."""
        return "row" if self.rows_per_event == 1 else "clip"

    @property
    def unit(self) -> str:
        """The unit of the log-likelihoods.

        Example:
            >>> Score(mean=0.0, rows_per_event=98).unit
            'nats per clip (98 frames)'
        """
        frames = self.rows_per_event
        return "nats" if frames == 1 else f"nats per clip ({frames} frames)"

    def text(self) -> str:
        """The mean with its error and unit, for the screen."""
        return estimate(self.mean, self.two_standard_errors, self.unit)

    def details(self) -> str:
        """How many events there are, and the statistics listed behind the mean, if known."""
        labels = {one.name: one.metadata["label"] for one in fields(self) if one.metadata}
        known = [(label, getattr(self, name)) for name, label in labels.items()]
        listed = [f"{label} {fixed(value)}" for label, value in known if value is not None]
        return f"{self.n:,} {self.event}s; {', '.join(listed)}"


def _share_of_few(parts: "Tensor", whole: float) -> float:
    """What the largest few parts of a sum make up."""
    largest = parts.topk(min(FEW, len(parts))).values
    return math.fsum(largest.tolist()) / whole if whole else 0.0


def statistics() -> list[str]:
    """The names of the statistics of a score, in their order."""
    return [one.name for one in fields(Score) if one.name != "rows_per_event"]


def summarize(terms: "Tensor", weight: "Tensor | None" = None) -> dict[str, float]:
    """The statistics of log-likelihoods `[events]`, in nats, as `result.json` has them.

    Example:
        >>> import torch
        >>> summarize(torch.tensor([1.0, 2.0, 3.0, 4.0]))["two_standard_errors"]
        1.29...
    """
    return Score.of(terms, weight=weight).json()


def score_in(
    block: Mapping[str, Any], space: str = "model_space", *, of: str = "log_likelihood"
) -> Score:
    """A score in the block of a split in `result.json`.

    Args:
        block: what `evaluate` gives.
        space: one of `SPACES`.
        of: `log_likelihood`, or `marginal` for log p(x) of a density given labels.
    """
    return Score.parse(block[of][space], rows_per_event=block.get("rows_per_event", 1))


def reported(block: Mapping[str, Any], space: str = "model_space") -> Score:
    """The score that tables report, in the block of a split in `result.json`.

    Of a density given labels it is that of log p(x) = log Σ p(x | label) p(label), as in the MAF
    paper, which makes it comparable with densities that know no labels.
    """
    return score_in(block, space, of="marginal" if "marginal" in block else "log_likelihood")
