"""Are distribution functions uniform at held-out rows: of every column, and in every context?"""

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from flowbench.data import Rows
from flowbench.evaluation.likelihood import device_of
from flowbench.flows import Flow
from flowbench.transforms import Transform

__all__ = ["distances", "uniformity", "uniforms_of"]

ROWS = 2_000
CHUNK = 1024
SHOWN_FEATURES, SHOWN_ROWS, SHOWN_CONTEXTS = 64, 5, 20
FEWEST = 20  # rows of a context
BINS = 4
TERMS = 100
CONTEXT_NUMBERS = 16


@torch.no_grad()
def uniforms_of(flow: Flow, rows: Rows, most: int = ROWS) -> tuple[Tensor, Tensor] | None:
    """Numbers that are uniform on [0, 1] if rows are drawn from a density; see `Flow.uniforms`.

    Args:
        flow: the density; it is put into evaluation mode.
        rows: those without missing cells are looked at.
        most: of them.

    Returns:
        The places of these rows, and float64 `[rows, features]`; None where a density does not
        know its distribution functions, or no row is without missing cells.
    """
    whole = (~rows.x.isnan().any(-1)).nonzero().flatten()
    if not len(whole):
        return None
    places = whole[torch.linspace(0, len(whole) - 1, min(most, ROWS, len(whole))).long()]
    device = device_of(flow.eval())
    try:
        parts = [
            flow.uniforms(batch.x, batch.context).cpu().double()
            for batch in (rows.batch(part).to(device) for part in places.split(CHUNK))
        ]
    except NotImplementedError:
        return None
    return places, torch.cat(parts).nan_to_num(nan=0.0).clamp(0, 1)


def uniformity(
    flow: Flow,
    rows: Rows,
    names: Sequence[str] | None = None,
    *,
    context_names: Sequence[str] = (),
    context_preprocess: Transform | None = None,
    most: int = ROWS,
) -> dict[str, Any] | None:
    r"""Kolmogorov's test of `uniforms_of` held-out rows, and the rows that they find unlikely.

    A p-value among many is multiplied by their number (Bonferroni), so that it is that of the
    smallest of all.

    Args:
        flow: the density; it is put into evaluation mode.
        rows: held-out rows.
        names: of the columns.
        context_names: of the numbers in a context; empty: their places, from 1.
        context_preprocess: maps contexts to data units, in which they are told; None: as given.
        most: rows to look at, 2,000 or fewer.

    Returns:
        `rows`: how many; `of`: "columns" if the density is a product of conditional densities of
        columns, else "features of the noise"; `ks_max` and `ks_mean` of the Kolmogorov-Smirnov
        distances of features; `feature`: that of the largest, and its `p_value`; `features`:
        distance and p-value of each (of the 64 farthest ones); `least_likely`: `row` (its place
        in the split, from 0), `feature`, `uniform` and two-sided `p_value` among all of them; and
        `contexts`: the same test for each of few different contexts, otherwise for quarters of
        the rows by each number of up to 16 in a context, worst first. None as for `uniforms_of`.

    References:
        Rosenblatt 1952, "Remarks on a multivariate transformation"; Stephens 1970, "Use of the
        Kolmogorov-Smirnov, Cramér-von Mises and related statistics without extensive tables".

    Example:
        >>> from flowbench.flows import Gaussian
        >>> x = torch.randn(1000, 2, generator=torch.Generator().manual_seed(0))
        >>> found = uniformity(Gaussian(2), Rows(x * torch.tensor([1, 2]), None, torch.zeros(1)))
        >>> found["feature"], found["p_value"] < 1e-6
        ('x2', True)
    """
    if (found := uniforms_of(flow, rows, most)) is None:
        return None
    places, uniforms = found
    names = names or [f"x{place}" for place in range(1, flow.features + 1)]
    if not flow.by_column:
        names = [f"u{place}" for place in range(1, flow.features + 1)]
    weight = None if rows.weight is None else rows.weight[places]
    contexts = []
    if rows.context is not None:
        given = rows.context[places].flatten(1).cpu().double()
        if context_preprocess is not None:
            given, _ = context_preprocess(given)
        groups = [(told, own) for told, own in _groups(given, context_names) if len(own) >= FEWEST]
        for told, own in groups:
            tested = _tested(uniforms[own], names, None if weight is None else weight[own])
            p_value = min(1.0, tested["p_value"] * len(groups))
            contexts.append({"context": told, **tested, "p_value": p_value})
        contexts.sort(key=lambda one: one["p_value"])
    return {
        "of": "columns" if flow.by_column else "features of the noise",
        **_tested(uniforms, names, weight, each=True),
        "least_likely": _least_likely(places, uniforms, names),
        "contexts": contexts[:SHOWN_CONTEXTS],
    }


def _tested(
    uniforms: Tensor, names: Sequence[str], weight: Tensor | None, *, each: bool = False
) -> dict[str, Any]:
    ks = distances(uniforms, weight)
    equal = _equal_rows(len(uniforms), weight)
    p_values = [min(1.0, _p_value(distance, equal) * len(ks)) for distance in ks.tolist()]
    order = ks.argsort(descending=True, stable=True).tolist()
    found: dict[str, Any] = {
        "rows": len(uniforms),
        "ks_max": ks.max().item(),
        "ks_mean": ks.mean().item(),
        "feature": names[order[0]],
        "p_value": p_values[order[0]],
    }
    if each:
        found["features"] = [
            {"feature": names[place], "ks": ks[place].item(), "p_value": p_values[place]}
            for place in order[:SHOWN_FEATURES]
        ]
    return found


def distances(uniforms: Tensor, weight: Tensor | None = None) -> Tensor:
    """Kolmogorov-Smirnov distances from uniform of `[rows, features]`, by feature.

    Args:
        uniforms: the numbers.
        weight: how much each row counts, `[rows]`; None: all the same.

    Example:
        >>> distances(torch.tensor([[0.5, 0.1], [0.6, 0.8]]))
        tensor([0.5000, 0.4000])
    """
    ordered, order = uniforms.sort(dim=0)
    counts = torch.ones(len(uniforms)) if weight is None else weight.cpu()
    steps = counts.to(ordered)[order]
    ends = steps.cumsum(0) / steps.sum(0)
    starts = ends - steps / steps.sum(0)
    return torch.maximum(ends - ordered, ordered - starts).amax(0)


def _equal_rows(rows: int, weight: Tensor | None) -> float:
    """The number of equal rows with means as exact."""
    return rows if weight is None else float(weight.sum() ** 2 / weight.square().sum())


def _p_value(distance: float, rows: float) -> float:
    """The probability of a larger distance, of numbers that are uniform (Stephens 1970)."""
    scaled = (rows**0.5 + 0.12 + 0.11 / rows**0.5) * distance
    if scaled < 0.3:  # where the series converges slowly; 1 to six digits
        return 1.0
    terms = ((-1) ** (k - 1) * math.exp(-2 * (k * scaled) ** 2) for k in range(1, TERMS))
    return min(1.0, 2 * sum(terms))


def _least_likely(places: Tensor, uniforms: Tensor, names: Sequence[str]) -> list[dict[str, Any]]:
    tails = 2 * torch.minimum(uniforms, 1 - uniforms)
    smallest, feature = tails.min(-1)
    worst = smallest.argsort(stable=True)[:SHOWN_ROWS].tolist()
    return [
        {
            "row": int(places[row]),
            "feature": names[int(feature[row])],
            "uniform": uniforms[row, feature[row]].item(),
            "p_value": min(1.0, smallest[row].item() * tails.numel()),
        }
        for row in worst
    ]


def _groups(context: Tensor, names: Sequence[str]) -> Iterator[tuple[str, Tensor]]:
    """Rows of equal contexts, or of quarters of each number in a context: words, and places."""
    different, of = context.unique(dim=0, return_inverse=True)
    if len(different) <= SHOWN_CONTEXTS:
        for place, one in enumerate(different):
            yield _told(one, names), (of == place).nonzero().flatten()
    elif context.shape[1] <= CONTEXT_NUMBERS:
        for place, column in enumerate(context.double().mT.contiguous(), start=1):
            edges = column.quantile(torch.linspace(0, 1, BINS + 1).double()).unique()
            bins = torch.bucketize(column, edges[1:-1], right=True)
            for number, (low, high) in enumerate(pairwise(edges.tolist())):
                name = names[place - 1] if names else f"number {place}"
                told = f"{name} from {low:.3g} to {high:.3g}"
                yield told, (bins == number).nonzero().flatten()


def _told(context: Tensor, names: Sequence[str] = ()) -> str:
    """A context in words.

    Example:
        >>> _told(torch.tensor([0.0, 1.0, 0.0])), _told(torch.tensor([0.5, 2.0]))
        ('class 1', '0.5, 2')
        >>> _told(torch.tensor([0.5, 0.0, 1.0]), ["age", "city=Bern", "city=Zug"])
        'age=0.5, city=Zug'
    """
    if names:
        known = [(one, "=" in one, x) for one, x in zip(names, context.tolist(), strict=True)]
        told = [one if flag else f"{one}={x:.3g}" for one, flag, x in known if x or not flag]
        return ", ".join(told)
    if len(context) > 1 and context.sum() == 1 and context.max() == 1 and context.min() == 0:
        return f"class {int(context.argmax())}"
    return ", ".join(f"{number:.3g}" for number in context.tolist())
