"""The models that race, by the rows and columns of the data."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from flowbench.config.configuration import SIZES
from flowbench.config.defaults import completed
from flowbench.run.auto.folds import FEW_ROWS
from flowbench.run.models import model_of

__all__ = ["Entry", "portfolio"]

MOST_FEATURES_OF_KERNELS = 20
MANY_ROWS = 50_000


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A model in the race.

    Attributes:
        name: of its line in the table, and of its folder.
        model: its configuration, with all options.
        training: what its training changes in the section `training`.
        baseline: whether it is fitted in closed form, and scored beside the winner.
        johnson: whether skewed and heavy-tailed columns are brought to a normal scale first.
        native: whether the native engine trains it.
        smaller: the entry with half its size, if there is one: where that is behind one smaller
            still, this does not start.
    """

    name: str
    model: Mapping[str, Any]
    training: Mapping[str, Any] = field(default_factory=dict)
    baseline: bool = False
    johnson: bool = False
    native: bool = False
    smaller: str = ""


def portfolio(
    rows: int,
    features: int,
    *,
    context_features: int = 0,
    mixed: bool = False,
    lattice: bool = False,
    skewed: bool = False,
    weighted: bool = False,
) -> list[Entry]:
    """The entries for data of a size; closed forms first.

    Args:
        rows: of the training split.
        features: size of an event.
        context_features: size of a context, 0 for none.
        mixed: whether columns are on lattices or have atoms.
        lattice: whether all columns are on lattices.
        skewed: whether columns are skewed or have heavy tails: densities of columns on a normal
            scale race too, and flows see no others.
        weighted: whether rows count differently, of which a kernel density knows nothing.

    Example:
        >>> [entry.name for entry in portfolio(1000, 2, skewed=True)][:3]
        ['gaussian', 'gaussian_johnson', 'gaussian_mixture_2']
        >>> [entry.name for entry in portfolio(1000, 2, skewed=True)][-1]
        'maf_noise_johnson'
    """
    closed = _closed_forms(rows, features, context_features)
    if weighted:
        closed = [entry for entry in closed if entry.name != "kernel"]
    levels = [_baseline("histogram")] if lattice else []
    flows = _flows(rows, features)
    if skewed:
        closed = [one for entry in closed for one in (entry, _on_normal_scale(entry))]
        flows = [_on_normal_scale(entry) for entry in flows]
    return [*closed, *levels, *_of_columns(rows, mixed=mixed, lattice=lattice), *flows]


def _on_normal_scale(entry: Entry) -> Entry:
    smaller = entry.smaller and f"{entry.smaller}_johnson"
    return replace(entry, name=f"{entry.name}_johnson", johnson=True, smaller=smaller)


def _closed_forms(rows: int, features: int, context_features: int) -> list[Entry]:
    entries = [_baseline("gaussian")]
    if context_features:
        entries.insert(0, _baseline("linear_gaussian"))
    numbers = features * (features + 3) // 2
    for components in (2, 4, 8, 16, 32, 64):
        if components * numbers < rows:
            one = _baseline("gaussian_mixture", components=components)
            entries.append(replace(one, smaller=entries[-1].name))
    if features <= MOST_FEATURES_OF_KERNELS and not context_features:
        entries.append(_baseline("kernel", centres=min(rows, 5_000)))
    return entries


def _baseline(name: str, **options: Any) -> Entry:
    places = [name, *(str(value) for key, value in options.items() if key == "components")]
    return Entry(name="_".join(places), model=_complete(name, options), baseline=True)


def _training(rows: int) -> dict[str, Any]:
    few = rows < FEW_ROWS
    size = 64 if few else 128 if rows < MANY_ROWS else 512
    found = {"batch_size": size, "patience": 50 if few else 15, "learning_rate": 1e-3}
    return found if few else {**found, "ema": 0.995}


def _of_columns(rows: int, *, mixed: bool, lattice: bool) -> list[Entry]:
    """Models of levels and of single values."""
    few, training = rows < FEW_ROWS, _training(rows)
    entries = _of_levels(training, few=few) if lattice else []
    if mixed:
        linear = {"hidden_units": [], "activation": None, "residual": False, "dropout": 0.0}
        entries += [
            _flow("made_mixed", training, {}),
            _flow("made_mixed", training, linear, name="made_mixed_linear"),
        ]
    return entries


def _flows(rows: int, features: int) -> list[Entry]:
    few, training = rows < FEW_ROWS, _training(rows)
    width = 64 if few else 128 if features < 64 else 256
    sizes = {"hidden_units": [width, width]}
    noisy = {**training, "noise": 0.1}
    plain = {**sizes, "batch_norm": False}
    start = {**plain, "zero_output": True}  # or rows far from 0 overflow before any training
    entries = [
        _flow("made_mog", training, sizes, components=5 if few else 20),
        _flow("maf", training, plain, layers=5, native=True),
        _flow("maf", training, plain, name="maf_spline", layers=3, univariate="spline"),
        _flow("realnvp", training, start, layers=8, native=True),
    ]
    if few:
        return [
            *entries,
            _flow("made_mog", noisy, sizes, name="made_mog_noise", components=5),
            _flow("maf", noisy, plain, name="maf_noise", layers=5, native=True),
        ]
    return [*entries, _flow("maf_mog", training, plain, layers=3)]


def _of_levels(training: Mapping[str, Any], *, few: bool) -> list[Entry]:
    """Models of levels, with the network of `experiment=digits_lattice` for few rows."""
    options = {"hidden_units": [400], "dropout": 0.5 if few else 0.1}
    decay = {"optimizer": {"_target_": "torch.optim.AdamW", "weight_decay": 0.02}}
    member = {**model_of("made_lattice_mixture")["flow"], **options}
    return [
        _flow("made_lattice", {**training, **decay}, options),
        _flow("made_lattice_mixture", {**training, **decay}, {"flow": member}),
    ]


def _flow(
    model: str,
    training: Mapping[str, Any],
    sizes: Mapping[str, Any],
    *,
    name: str = "",
    native: bool = False,
    **options: Any,
) -> Entry:
    settings = _complete(model, {**sizes, **options})
    return Entry(name=name or model, model=settings, training=training, native=native)


def _complete(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    return completed({**model_of(name), **options}, given={}, supplied=SIZES)
