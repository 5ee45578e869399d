"""The models that race, by the rows and columns of the data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from flowbench.config.configuration import SIZES
from flowbench.config.defaults import completed
from flowbench.run.models import model_of

__all__ = ["NATIVE", "Entry", "portfolio"]

MOST_FEATURES_OF_KERNELS = 20
FEW_ROWS = 5_000
NATIVE = ("maf", "maf_noise", "realnvp")  # which the native engine trains


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A model in the race.

    Attributes:
        name: of its line in the table, and of its folder.
        model: its configuration, with all options.
        training: what its training changes in the section `training`.
        baseline: whether it is fitted in closed form, and scored beside the winner.
    """

    name: str
    model: Mapping[str, Any]
    training: Mapping[str, Any] = field(default_factory=dict)
    baseline: bool = False


def portfolio(
    rows: int,
    features: int,
    *,
    context_features: int = 0,
    mixed: bool = False,
    lattice: bool = False,
) -> list[Entry]:
    """The entries for data of a size; closed forms first.

    Args:
        rows: of the training split.
        features: size of an event.
        context_features: size of a context, 0 for none.
        mixed: whether columns are on lattices or have atoms.
        lattice: whether all columns are on lattices.

    Example:
        >>> [entry.name for entry in portfolio(1000, 2)][:4]
        ['gaussian', 'gaussian_mixture_2', 'gaussian_mixture_4', 'gaussian_mixture_8']
    """
    return [
        *_closed_forms(rows, features, context_features, lattice=lattice),
        *_flows(rows, features, mixed=mixed, lattice=lattice),
    ]


def _closed_forms(
    rows: int, features: int, context_features: int, *, lattice: bool
) -> list[Entry]:
    entries = [_baseline("gaussian")]
    numbers = features * (features + 3) // 2
    for components in (2, 4, 8, 16, 32, 64):
        if components * numbers < rows:
            entries.append(_baseline("gaussian_mixture", components=components))
    if features <= MOST_FEATURES_OF_KERNELS and not context_features:
        entries.append(_baseline("kernel", centres=min(rows, 5_000)))
    if lattice:
        entries.append(_baseline("histogram"))
    return entries


def _baseline(name: str, **options: Any) -> Entry:
    places = [name, *(str(value) for key, value in options.items() if key == "components")]
    return Entry(name="_".join(places), model=_complete(name, options), baseline=True)


def _flows(rows: int, features: int, *, mixed: bool, lattice: bool) -> list[Entry]:
    width = 64 if rows < FEW_ROWS else 128 if features < 64 else 256
    sizes = {"hidden_units": [width, width]}
    training: dict[str, Any] = {"batch_size": 64 if rows < FEW_ROWS else 128}
    training |= {"patience": 50 if rows < FEW_ROWS else 15, "learning_rate": 1e-3}
    noisy = {**training, "noise": 0.1}
    entries = []
    if lattice:
        entries += _of_levels(training, few=rows < FEW_ROWS)
    if mixed:
        linear = {"hidden_units": [], "activation": None, "residual": False, "dropout": 0.0}
        entries += [
            _flow("made_mixed", training, {}),
            _flow("made_mixed", training, linear, name="made_mixed_linear"),
        ]
    entries += [
        _flow("maf", training, sizes, layers=5, batch_norm=False),
        _flow("made_mog", training, sizes, components=10),
        _flow("maf_mog", training, sizes, layers=3, batch_norm=False),
        _flow("maf", training, sizes, name="maf_spline", layers=3, batch_norm=False,
              univariate="spline"),
        _flow("realnvp", training, sizes, layers=8, batch_norm=False),
    ]  # fmt: skip
    if rows < FEW_ROWS:
        entries.append(_flow("maf", noisy, sizes, name="maf_noise", layers=5, batch_norm=False))
        entries.append(_flow("made_mog", noisy, sizes, name="made_mog_noise", components=10))
    return entries


def _of_levels(training: Mapping[str, Any], *, few: bool) -> list[Entry]:
    """Models of levels, with the settings of `experiment=digits_lattice` for few rows."""
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
    **options: Any,
) -> Entry:
    settings = _complete(model, {**sizes, **options})
    return Entry(name=name or model, model=settings, training=training)


def _complete(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    return completed({**model_of(name), **options}, given={}, supplied=SIZES)
